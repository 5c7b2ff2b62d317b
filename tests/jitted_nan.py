"""Runs every method, jitted, on images of which one has a NaN or an infinity.

A program of its own, for the compiler flags that users have: those of the suite
hide that XLA's CPU backend drops NaN in fused maxima. Prints what is wrong.
"""

import jax
import jax.numpy as jnp
from tools import METHODS, make_tiny

from vizlab import nets
from vizlab.objectives import logit, score

SIDE = 96  # from 16x16 positions on, maxima over an axis are vectorised


def check(name, call, net, values):
  """Prints what a method gives for three images, the second undefined."""
  call = jax.jit(call)
  asked = score(net, logit(jnp.array([0, 3, 5])))
  x = jax.random.uniform(jax.random.key(0), (3, SIDE, SIDE, 3))
  for value in values:
    got = call(asked, x.at[1, 40, 50, 1].set(value))
    undefined = ~jnp.isfinite(got.reshape(3, -1)).all(1)
    if undefined.tolist() != [False, True, False]:
      print(f'{name} of {value}: not finite in {undefined.tolist()}')


def main():
  tiny = make_tiny(0)
  for name, method in METHODS.items():
    check(name, method.call, tiny, (jnp.nan, jnp.inf))
  minivgg = nets.load('minivgg')
  check('minivgg', lambda asked, x: asked(x), minivgg, (jnp.nan,))
  check('saliency', METHODS['saliency'].call, minivgg, (jnp.nan,))


if __name__ == '__main__':
  main()
