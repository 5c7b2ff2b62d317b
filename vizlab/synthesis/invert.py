"""Inversion: images with the same activations."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab import penalties
from vizlab.objectives import Score, features, score
from vizlab.objectives.base import activation
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net, check_image

__all__ = ['Inversion', 'inversion', 'normalised_error', 'pair_distance']


class Inversion(NamedTuple):
  """Score and penalty for `vizlab.optimize.run` to invert a representation.

  Attributes:
    score: Minus the squared distance of the activations, relative to their
      size.
    penalty: What keeps the image natural.
  """

  score: Score
  penalty: penalties.Penalty


def inversion(
  net: Net,
  layer: str,
  x: Array,
  *,
  tv: float | Array = 0.1,
  range_weight: float | Array = 1e-3,
  alpha: float = 6.0,
  beta: float = 2.0,
) -> Inversion:
  """``||Phi(x') - Phi(x)||^2 / ||Phi(x)||^2 + l_a R_a(x') + l_V R_V(x')``.

  Both penalties are means over the pixels, so that their weights do not depend
  on the image's size: ``R_a`` of ``(x' - 1/2) / (1/2)``, ``R_V`` of ``x'``.

  Args:
    net: A net, or a descriptor such as HOG by `descriptors.as_net`.
    layer: Name of the layer that is inverted, a map or a vector.
    x: Images ``[..., H, W, C]`` whose activations are wanted.
    tv: ``l_V``: one number, or one per image.
    range_weight: ``l_a``, likewise.
    alpha: Exponent of ``R_a``, `vizlab.penalties.alpha_norm`.
    beta: Exponent of ``R_V``, `vizlab.penalties.tv`.

  Returns:
    An `Inversion`, whose parts go to `vizlab.optimize.run` with images of the
    shape of ``x``.

  Raises:
    ValueError: An unknown layer, or numbers that are not finite.

  Reference:
    Mahendran & Vedaldi 2015, equations 1 to 3.

  >>> import jax
  >>> from vizlab import nets, optimize, synthesis
  >>> x = jax.random.uniform(jax.random.key(0), (32, 32, 3))
  >>> score_fn = synthesis.inversion(nets.load('minivgg'), 'conv1_1', x, tv=0.0)
  >>> found = optimize.final(optimize.run(
  ...     score_fn.score, synthesis.pixels(0 * x + 0.5), jax.random.key(1),
  ...     steps=60, optimizer=optimize.adam(0.03), penalty=score_fn.penalty))
  >>> bool(found.scores[-1] > -0.02)
  True
  """
  check_image(x, 'x')
  target = jax.lax.stop_gradient(activation(run_net(net, x)[1], layer))
  pixels = x.shape[-3] * x.shape[-2]
  in_range = (2.0**alpha / (x.shape[-1] * pixels)) * penalties.alpha_norm(
    alpha, 0.5
  )
  smooth = (1.0 / pixels) * penalties.tv(beta)
  return Inversion(
    score(net, -features(layer, target)),
    range_weight * in_range + tv * smooth,
  )


def normalised_error(
  net: Net, layer: str, x: Array, x0: Array, *, scale: Array | None = None
) -> Array:
  """``||Phi(x) - Phi(x0)|| / ||Phi(x0)||``, one number per image.

  Args:
    net: A net.
    layer: Name of a layer.
    x: Images ``[..., H, W, 3]``.
    x0: The images that were inverted.
    scale: Divides the distance in place of ``||Phi(x0)||``; the paper takes
      that of `pair_distance`.

  Returns:
    ``[...]``, 0 where nothing is lost.

  Reference:
    Mahendran & Vedaldi 2015, section 5.2.
  """
  a, target = (activation(run_net(net, v)[1], layer) for v in (x, x0))
  axes = tuple(range(x.ndim - 3, a.ndim))
  size = _root(jnp.square(target).sum(axes)) if scale is None else scale
  apart = _root(jnp.square(a - target).sum(axes))
  return apart / jnp.where(size == 0, 1, size)


def pair_distance(net: Net, layer: str, images: Array) -> Array:
  """Mean distance ``||Phi(x_i) - Phi(x_j)||`` over all pairs of images.

  Args:
    net: A net.
    layer: Name of a layer.
    images: ``[N, H, W, 3]``, two or more.

  Returns:
    ``[]``.

  Raises:
    ValueError: Fewer than two images, or an unknown layer.

  Reference:
    Mahendran & Vedaldi 2015, section 5.2: the constant of their error.
  """
  if jnp.ndim(images) != 4 or len(images) < 2:
    raise ValueError(
      f'images: got shape {jnp.shape(images)}, expected [N, H, W, 3] of two or '
      'more'
    )
  n = len(images)
  a = activation(run_net(net, images)[1], layer).reshape(n, -1)
  apart = jax.lax.map(lambda v: jnp.linalg.norm(a - v[None], axis=-1), a)
  return apart.sum() / (n * (n - 1))


def _root(square: Array) -> Array:
  """The root, which at 0 has a slope of 0."""
  return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))
