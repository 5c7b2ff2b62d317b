"""Attributions by a single gradient: plain, guided, deconvnet.

The contract of this package: ``score`` is any function of images that returns
one number per image, ``[..., H, W, C] -> [...]``: a `vizlab.objectives.Score`
or a function of your own. The images of a batch must not influence each other.
Methods are pure and work under ``jit``, ``vmap`` and ``scan``; jit them, for
example ``jax.jit(gradient)(score, x)`` where ``score`` is a pytree.
"""

import jax
import jax.numpy as jnp

from vizlab import extrema, rules
from vizlab.attribution.checks import nan_where_undefined, need_score
from vizlab.batching import vary_with
from vizlab.image.checks import check_images
from vizlab.objectives import Score
from vizlab.objectives.base import check_score
from vizlab.types import Array, ScoreFn

__all__ = [
  'deconvnet',
  'gradient',
  'gradient_x_input',
  'guided_backprop',
  'saliency',
]


def gradient(score: ScoreFn, x: Array) -> Array:
  r"""Gradient of the score.

  .. math:: w = \frac{\partial y}{\partial x}

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].

  Returns:
    ``[..., H, W, C]``, in score units per unit of intensity; NaN where the
    score of the image is NaN or infinite.

  Raises:
    ValueError: ``x`` is not a batch of float images, or ``score`` does not give
      one number per image.

  Reference:
    Simonyan, Vedaldi & Zisserman 2013, equation 4.

  >>> import jax.numpy as jnp
  >>> float(gradient(lambda x: (3 * x).sum((-3, -2, -1)), jnp.ones((2, 2, 3)))
  ...   [0, 0, 0])
  3.0
  """
  check_images(x)

  def total(x: Array) -> tuple[Array, Array]:
    y = score(x)
    check_score(y, x)
    return y.sum(), y

  gradient, y = jax.grad(total, has_aux=True)(vary_with(score, x))
  return nan_where_undefined(gradient, y)


def saliency(score: ScoreFn, x: Array) -> Array:
  r"""Maximum absolute gradient over the channels.

  .. math::
    S_{ij} = \max_c \left| \frac{\partial y}{\partial x_{ijc}} \right|

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].

  Returns:
    ``[..., H, W]``, not negative.

  Raises:
    ValueError: ``x`` is not a batch of float images, or ``score`` does not give
      one number per image.

  Reference:
    Simonyan, Vedaldi & Zisserman 2013, section 3.1.
  """
  return extrema.max_over(jnp.abs(gradient(score, x)), -1)


def gradient_x_input(score: ScoreFn, x: Array) -> Array:
  """Gradient times input: ``x * dy / dx``.

  For a linear score it sums to ``y`` minus the bias.

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1]; black is the baseline.

  Returns:
    ``[..., H, W, C]``, in score units.

  Raises:
    ValueError: ``x`` is not a batch of float images, or ``score`` does not give
      one number per image.

  Reference:
    Shrikumar, Greenside & Kundaje 2017, section 2.2.
  """
  return x * gradient(score, x)


def guided_backprop(score: Score, x: Array) -> Array:
  """Guided backprop: the gradient with guided ReLUs.

  A guided ReLU passes the gradient only where both its input and the gradient
  are positive.

  Args:
    score: A `Score` whose network holds backward rules, a `vizlab.rules.Rules`.
    x: Images ``[..., H, W, C]`` in [0, 1].

  Returns:
    ``[..., H, W, C]``.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, or its network has no rules.

  Reference:
    Springenberg, Dosovitskiy, Brox & Riedmiller 2015, section 3.4.
  """
  score = need_score(score, 'guided_backprop')
  return gradient(score.with_rules(relu=rules.guided_relu), x)


def deconvnet(
  score: Score, x: Array, *, seed: float | Array | None = None
) -> Array:
  """Deconvnet projection of a unit to the pixels.

  The unit's activation is propagated back through unpooling (with the switches
  of the forward pass), rectification and transposed convolutions; all other
  units of its layer are set to zero. The paper does not specify the backward
  pass of contrast normalisation; its true gradient is used.

  Args:
    score: A `Score` of one unit, such as ``peak('relu5_3', 7)``, whose network
      holds backward rules, a `vizlab.rules.Rules`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    seed: Value that is propagated back, ``[]`` or ``[...]``; ``None`` for the
      unit's activation, as in the paper. 1 gives the deconvolution of other
      libraries.

  Returns:
    ``[..., H, W, C]``.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, or its network has no rules.

  Reference:
    Zeiler & Fergus 2014, section 2.1.
  """
  score = need_score(score, 'deconvnet')
  check_images(x)
  ruled = score.with_rules(relu=rules.deconv_relu)
  y, backward = jax.vjp(ruled, vary_with(score, x))
  check_score(y, x)
  if seed is None:
    seed = y
  elif jnp.shape(seed) not in ((), y.shape):
    raise ValueError(
      f'seed: got shape {jnp.shape(seed)}, expected one number or one per image'
    )
  seed = jnp.broadcast_to(jnp.asarray(seed), y.shape)
  return nan_where_undefined(backward(seed.astype(y.dtype))[0], y)
