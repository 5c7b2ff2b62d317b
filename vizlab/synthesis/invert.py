"""What a representation keeps of an image: images with the same activations."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab import penalties
from vizlab.objectives import Score, features, score
from vizlab.objectives.base import activation
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net

__all__ = ['Inversion', 'inversion', 'normalised_error']


class Inversion(NamedTuple):
  """What `vizlab.optimize.run` maximises to invert a representation.

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
    net: A net, or a descriptor such as HOG by `vizlab.descriptors.as_net`.
    layer: Name of the layer that is inverted, a map or a vector.
    x: Images ``[..., H, W, C]`` whose activations are wanted.
    tv: ``l_V``: one number, or one an image.
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
  >>> wish = synthesis.inversion(nets.load('minivgg'), 'conv1_1', x, tv=0.0)
  >>> found = optimize.final(optimize.run(
  ...     wish.score, synthesis.pixels(0 * x + 0.5), jax.random.key(1),
  ...     steps=60, rule=optimize.adam(0.03), penalty=wish.penalty))
  >>> bool(found.scores[-1] > -0.02)
  True
  """
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


def normalised_error(net: Net, layer: str, x: Array, x0: Array) -> Array:
  """``||Phi(x) - Phi(x0)|| / ||Phi(x0)||``, one number an image.

  Args:
    net: A net.
    layer: Name of a layer.
    x: Images ``[..., H, W, 3]``.
    x0: The images that were inverted.

  Returns:
    ``[...]``, 0 where nothing is lost.

  Reference:
    Mahendran & Vedaldi 2015, section 5.2; they divide by the mean distance of
    the activations of two images.
  """
  target = activation(run_net(net, x0)[1], layer)
  square = score(net, features(layer, target))(x)
  # Where nothing is lost the root has no slope.
  return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
