"""FullGrad: contributions of the input and all biases, which sum to a score."""

from typing import NamedTuple

import jax.numpy as jnp

from vizlab.attribution.cam import upsample
from vizlab.attribution.checks import need_score
from vizlab.attribution.layer_gradients import layer_gradients
from vizlab.image.checks import check_images
from vizlab.image.scaling import minmax_scale
from vizlab.objectives import Score
from vizlab.types import Array

__all__ = ['FullGradient', 'full_gradient', 'fullgrad']


class FullGradient(NamedTuple):
  """Contributions that sum to a score, returned by `full_gradient`.

  Attributes:
    input: ``[..., H, W, C]``, the contribution of the input.
    biases: Contributions of the biases, ``{layer: [..., H', W', C']}`` or
      ``{layer: [..., C']}``.
  """

  input: Array
  biases: dict[str, Array]

  def sum(self) -> Array:
    """Sum of all contributions ``[...]``; the score, for a ReLU network."""
    lead = self.input.ndim - 3
    parts = (self.input, *self.biases.values())
    return sum(part.sum(tuple(range(lead, part.ndim))) for part in parts)


def full_gradient(score: Score, x: Array) -> FullGradient:
  r"""Decomposes a score into contributions of the input and all biases.

  .. math::
    y = \sum z \odot \frac{\partial y}{\partial z}
    + \sum_l \sum b_l \odot \frac{\partial y}{\partial b_l}

  ``z`` is the preprocessed input. Exact for networks that are linear between
  ReLUs and max pooling, with a score that is linear in the logits or
  activations; not for local response normalisation or probabilities.

  Args:
    score: A `Score` whose network has a method ``biases()`` that returns
      ``{layer: [C']}``, the additive part of each layer, and under ``'input'``
      the additive part ``[C]`` of the preprocessing, in units of the image.
    x: Images ``[..., H, W, C]`` in [0, 1].

  Returns:
    A `FullGradient`, in score units.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, or its network has no ``biases()``.

  Reference:
    Srinivas & Fleuret 2019, section 4: the full-gradient representation.
  """
  score = need_score(score, 'full_gradient')
  check_images(x)
  if getattr(score.net, 'biases', None) is None:
    raise ValueError(
      f'score: {type(score.net).__name__} has no method biases(), expected one '
      'that returns {layer: [C]}, the additive part of each layer'
    )
  biases = dict(score.net.biases())
  shift = biases.pop('input', jnp.zeros(x.shape[-1:], x.dtype))
  _, gradients, dx = layer_gradients(score, x, list(biases))

  def part(g: Array, bias: Array) -> Array:
    bias = bias.reshape((1,) * (g.ndim - 1) + bias.shape)
    return g * bias.astype(g.dtype)

  return FullGradient(
    x * dx + part(dx, shift),
    {name: part(gradients[name], bias) for name, bias in biases.items()},
  )


def fullgrad(score: Score, x: Array) -> Array:
  r"""FullGrad saliency map: the sum of all scaled spatial contributions.

  .. math::
    M = \psi\Bigl( z \odot \frac{\partial y}{\partial z} \Bigr)
    + \sum_l \sum_k
    \psi\Bigl( b_{lk} \frac{\partial y}{\partial b_{lk}} \Bigr)

  ``psi`` takes the absolute value, scales the maps of a layer jointly to [0, 1]
  for each image, and upsamples them. Contributions of fully connected layers
  have no spatial position and are left out.

  Args:
    score: A `Score` whose network has a method ``biases()`` that returns
      ``{layer: [C']}``, the additive part of each layer.
    x: Images ``[..., H, W, C]`` in [0, 1].

  Returns:
    ``[..., H, W]``, not negative, without a unit.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, or its network has no ``biases()``.

  Reference:
    Srinivas & Fleuret 2019, section 5: the approximate saliency map.
  """
  parts = full_gradient(score, x)
  total = 0.0
  for part in (parts.input, *parts.biases.values()):
    if part.ndim == x.ndim:
      size = minmax_scale(jnp.abs(part), (-3, -2, -1))
      total += upsample(size.sum(-1), x.shape[-3:-1])
  return total
