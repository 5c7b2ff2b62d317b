"""Runs every method under `jax.shard_map` on two devices, with its checks.

A program of its own, as the number of devices is set when JAX starts. Prints
the methods whose maps differ from those of one device.
"""

import foreign
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from tools import METHODS, make_tiny

from vizlab import attribution
from vizlab.data import scenes
from vizlab.nets.layers.conv import conv2d
from vizlab.objectives import logit, score

SPLIT, WHOLE = PartitionSpec('batch'), PartitionSpec()


def check(name, explain, x, target, image_spec):
  """Prints a method whose maps on two devices are not those of one."""
  mesh = Mesh(np.array(jax.devices()), ('batch',))
  each = jax.shard_map(
    explain, mesh=mesh, in_specs=(image_spec, SPLIT), out_specs=SPLIT
  )
  got = jax.jit(each)(x, target)
  x = jnp.concatenate([x, x])[:2] if image_spec is WHOLE else x
  want = jax.jit(explain)(x, target)
  apart = np.abs(np.asarray(got) - np.asarray(want)).max()
  if apart > 1e-5 * np.abs(want).max():
    print(f'{name}, image {image_spec}: off by {apart}')


def main():
  assert len(jax.devices()) == 2
  tiny = make_tiny(0)
  x = jax.random.uniform(jax.random.key(0), (2, 16, 20, 3))
  target = jnp.array([0, 3])
  for name, method in METHODS.items():

    def explain(x, target, call=method.call):
      return call(score(tiny, logit(target)), x)

    check(name, explain, x, target, SPLIT)
    if name in ('gradient', 'deconvnet', 'grad_cam', 'smoothgrad'):
      check(name, explain, x[:1], target, WHOLE)  # one image, two classes

  def drawn(x, target):
    key = jax.random.key(1)
    return jnp.concatenate(
      [scenes(key, 1, size=12, first=first).image for first in target]
    )

  check('scenes', drawn, x, target, SPLIT)
  function = foreign.plain(foreign.params(), x)
  for name in ('gradient', 'guided_backprop', 'lrp', 'fullgrad'):

    def of_function(x, target, call=getattr(attribution, name)):
      return call(score(function, logit(target)), x)

    check(f'{name} of a function', of_function, x, target, SPLIT)

  def smooth(x, key):
    one = score(tiny, logit(2))
    return attribution.smoothgrad(one, x, key[0], samples=3, chunk=1)

  keys = jax.random.split(jax.random.key(1))
  check_keys(smooth, x[:1], keys)
  check_kernels()


def check_kernels():
  """Prints if kernels' gradients, summed over devices, are not those of one."""
  x = jax.random.normal(jax.random.key(2), (4, 17, 17, 16))
  kernel = jax.random.normal(jax.random.key(3), (3, 3, 16, 16))

  def slope(kernel, x):
    return jax.grad(lambda k: jnp.square(conv2d(x, k, 1, 1)).sum())(kernel)

  mesh = Mesh(np.array(jax.devices()), ('batch',))
  each = jax.shard_map(
    slope, mesh=mesh, in_specs=(WHOLE, SPLIT), out_specs=WHOLE
  )
  got, want = jax.jit(each)(kernel, x), slope(kernel, x)
  if np.abs(got - want).max() > 1e-5 * np.abs(want).max():
    print('gradients of kernels are off')


def check_keys(explain, x, keys):
  """Prints if a key for each device does not give the maps of that key."""
  mesh = Mesh(np.array(jax.devices()), ('batch',))
  each = jax.shard_map(
    explain, mesh=mesh, in_specs=(WHOLE, SPLIT), out_specs=SPLIT
  )
  got = jax.jit(each)(x, keys)
  want = [explain(x, keys[i : i + 1])[0] for i in range(2)]
  if np.abs(got - np.stack(want)).max() > 1e-5 * np.abs(want).max():
    print('smoothgrad with a key for each device is off')


if __name__ == '__main__':
  main()
