"""Fooling images: a picture that a net takes for any class."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vizlab import optimize
from vizlab.objectives import margin, score
from vizlab.synthesis.images import pixels
from vizlab.synthesis.transforms import ascent
from vizlab.types import Array, Net, check_image, number

__all__ = ['fool']


def fool(
  net: Net,
  x: Array,
  target: int | Array,
  *,
  enough: float = 5.0,
  rate: float = 1e-3,
  steps: int = 200,
  chunk: int = 5,
) -> Iterator[optimize.Progress]:
  """Changes images until the net takes them for another class.

  Steps along the gradient of ``min(logit - largest other, enough)``, divided by
  its mean size; an image that has enough is not changed any more.

  Args:
    net: A net with a classifier.
    x: Images ``[..., H, W, 3]`` in [0, 1], which the result stays in.
    target: Class, one number or one per image.
    enough: Logits by which the class must be ahead: 5 is a probability of
      more than 0.99 against any single other class.
    rate: How much a pixel changes in a step, in the mean.
    steps: At most.
    chunk: Steps between two looks at the result.

  Yields:
    A `vizlab.optimize.Progress` after each chunk; its scores are the margins.
    It ends when all images have enough.

  Raises:
    ValueError: Not images, or a class that the net does not have.

  Reference:
    Szegedy et al. 2014 and Nguyen, Yosinski & Clune 2015 for the phenomenon;
    the class score's gradient from any image as in Simonyan et al. 2013.
  """
  check_image(x, 'x')
  number(rate, 'rate', 0.0)
  progress = optimize.run(
    score(net, margin(target, enough)),
    pixels(x),
    jax.random.key(0),  # nothing is random
    steps=steps,
    chunk=chunk,
    optimizer=Partial(ascent, rate),
  )
  return _until_enough(progress, net, jnp.asarray(target), enough)


def _until_enough(
  progress: Iterator[optimize.Progress],
  net: Net,
  target: Array,
  enough: float,
) -> Iterator[optimize.Progress]:
  for now in progress:
    yield now
    if (_margins(net, now.image, target) >= enough).all():
      return


@jax.jit
def _margins(net: Net, x: Array, target: Array) -> Array:
  return score(net, margin(target))(x)
