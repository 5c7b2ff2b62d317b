"""Part templates: maps that peak at one position and are negative elsewhere.

A filter that stands for one part of an object is active at one position of its
map, or nowhere. A template is such a map; an interpretable network is trained
for mutual information of the maps of each filter and the templates. The layer
`vizlab.nets.layers.TemplateMask` masks a map by the template at its peak.

Reference:
  Zhang, Wu & Zhu 2018, "Interpretable Convolutional Neural Networks".
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, widened

__all__ = [
  'favourite_category',
  'information',
  'peak_mask',
  'template_fit',
  'template_loss',
  'templates',
]


def templates(
  height: int,
  width: int,
  *,
  beta: float | Array = 4.0,
  tau: float | Array | None = None,
) -> Array:
  r"""Templates of all positions of a map, and the negative one.

  .. math::
    T_\mu = \tau \max\Bigl(1 - \beta \frac{|p - \mu|_1}{n}, -1\Bigr), \qquad
    T^- = -\tau

  Args:
    height: Rows of the maps.
    width: Their columns; ``n`` is the larger of both.
    beta: Slope of a template, above 0.
    tau: Its height; ``0.5 / (height * width)`` by default, as in the paper. It
      sets the activations that matter, which are of the order of ``1 / tau``.

  Returns:
    ``[height * width + 1, height, width]``, float32: those of the positions row
    by row, and the negative one last.

  Raises:
    ValueError: A number is out of range.

  Reference:
    Zhang et al. 2018, sections 3 and 5.

  >>> templates(1, 3, beta=3.0, tau=1.0)[:, 0].tolist()
  [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0], [-1.0, -1.0, -1.0]]
  """
  if min(height, width) < 1:
    raise ValueError(
      f'height, width: got {height} and {width}, expected at least 1'
    )
  tau = _positive(0.5 / (height * width) if tau is None else tau, 'tau')
  y, x = np.divmod(np.arange(height * width), width)
  rows = np.abs(y[:, None] - np.arange(height)).astype(np.float32)
  columns = np.abs(x[:, None] - np.arange(width)).astype(np.float32)
  away = rows[:, :, None] + columns[:, None]
  around = _template(away, max(height, width), beta)
  negative = jnp.full((1, height, width), -1, around.dtype)
  return tau * jnp.concatenate([around, negative])


def peak_mask(maps: Array, *, beta: float | Array = 4.0) -> Array:
  r"""Positive part of each map's template at its peak, of height 1.

  .. math:: \max\Bigl(1 - \beta \frac{|p - \hat\mu|_1}{n}, 0\Bigr)

  Args:
    maps: Activations ``[..., H, W, C]``.
    beta: Slope of the template, above 0.

  Returns:
    ``[..., H, W, C]`` in [0, 1], 1 at the highest activation, the first of
    several; without a gradient.

  Raises:
    ValueError: Beta is not above 0.

  Reference:
    Zhang et al. 2018, section 3; as in its code without the height ``tau``, a
    factor that the weights of the next layer can absorb.
  """
  return jnp.maximum(_at_peak(maps, beta), 0)


def template_fit(
  maps: Array, present: Array, *, beta: float | Array = 4.0
) -> Array:
  r"""Share of a filter's activations that fit its templates, by filter.

  .. math::
    \frac{\sum_n w_n \langle x_n, \hat T_n \rangle}
    {\sum_n w_n \sum_p |x_{n,p}|}

  with the template of height 1 at the peak where the filter's category is
  present, and the negative one elsewhere; both kinds of images weigh the same.
  It is 1 for a filter that is active at one position where its category is
  present and silent elsewhere, and -1 for one that is active elsewhere only.

  This is vizlab's own loss. Its slope by a map is a template, as that of the
  paper, whose strength instead rises with the fit, so that activations grow
  without bound; the authors' code divides the strengths of a filter by their
  mean. Here the activations are divided by their own sum.

  Args:
    maps: Activations ``[N, H, W, C]``, usually after a ReLU.
    present: ``[N, C]``, True where an image shows the category of the filter,
      such as its `favourite_category`.
    beta: Slope of the templates, above 0.

  Returns:
    ``[C]`` in [-1, 1]; 0 for a filter that is silent everywhere.

  Raises:
    ValueError: The maps are not ``[N, H, W, C]``, ``present`` has another
      shape, or beta is out of range.
  """
  maps = _checked(maps)
  present = _check_present(maps, present)
  template = jnp.where(present[:, None, None], _at_peak(maps, beta), -1)
  counts = [
    jnp.maximum(m.sum(0, keepdims=True), 1) for m in (present, ~present)
  ]
  weight = 1 / jnp.where(present, *counts).astype(maps.dtype)  # [N, C]
  fit = ((maps * template).sum((1, 2)) * weight).sum(0)
  total = (jnp.abs(maps).sum((1, 2)) * weight).sum(0)
  return fit / jnp.where(total == 0, 1, total)


def information(
  maps: Array,
  *,
  beta: float | Array = 4.0,
  tau: float | Array | None = None,
) -> Array:
  r"""Mutual information of a batch of maps and the templates, by filter.

  .. math::
    \sum_T p(T) \sum_x p(x|T) \log \frac{p(x|T)}{p(x)}, \qquad p(x|T) =
    \frac{e^{\langle x, T \rangle}}{\sum_{x'} e^{\langle x', T \rangle}}

  with ``p(T) = 1 / (H W + 1)`` for every template, as in the paper with its
  alpha of ``H W / (1 + H W)``. The gradient is exact, that of this sum over the
  batch: an equal change of all maps has no effect. Memory and time grow with
  the square of the number of positions.

  Args:
    maps: Activations ``[N, H, W, C]``.
    beta: Slope of the templates.
    tau: Their height; see `templates`.

  Returns:
    ``[C]`` in nats, from 0 to the logarithm of the number of maps or of
    templates, whichever is less.

  Raises:
    ValueError: The maps are not ``[N, H, W, C]``, or a number is out of range.

  Reference:
    Zhang et al. 2018, equation 1, over the maps of the batch.
  """
  fit, prior = _fit(_checked(maps), beta, tau)
  given = jax.nn.log_softmax(fit, 0)  # [N, T, C]
  ratio = given - _log_mean(given, prior)[:, None]
  return prior * (jnp.exp(given) * ratio).sum((0, 1))


def template_loss(
  maps: Array,
  present: Array | None = None,
  *,
  beta: float | Array = 4.0,
  tau: float | Array | None = None,
) -> Array:
  r"""Loss with the gradient of the paper, by filter.

  The paper differentiates the negative mutual information with the sums
  :math:`Z_T = \sum_x e^{\langle x, T \rangle}` and :math:`p(x)` held constant
  (its equation 4 leaves out the minus sign):

  .. math::
    \frac{\partial L}{\partial x} = -\sum_T \frac{p(T)}{Z_T}
    e^{\langle x, T \rangle} \bigl(\langle x, T \rangle - \log Z_T p(x)\bigr) T

  It approximates the sum by one template per map: that at its peak where the
  filter's category is present, and the negative one elsewhere. With constant
  sums a gradient remains that scales all maps, so that activations grow without
  bound; `template_fit` is the loss to train with.

  Args:
    maps: Activations ``[N, H, W, C]``.
    present: ``[N, C]``, True where an image shows the category of the filter,
      such as its `favourite_category`; ``None`` for the sum over all templates.
    beta: Slope of the templates.
    tau: Their height; see `templates`.

  Returns:
    ``[C]``; with all templates its value is that of ``-information(maps)``.

  Raises:
    ValueError: The maps are not ``[N, H, W, C]``, ``present`` has another
      shape, or a number is out of range.

  Reference:
    Zhang et al. 2018, equation 4.
  """
  maps = _checked(maps)
  fit, prior = _fit(maps, beta, tau)
  total = jax.lax.stop_gradient(jax.nn.logsumexp(fit, 0))  # [T, C]
  given = fit - total[None]  # [N, T, C]
  mean = jax.lax.stop_gradient(_log_mean(given, prior))  # [N, C]
  # q log(q / p) - q + p, whose slope by the logarithm of q is q log(q / p).
  q = jnp.exp(given)
  terms = q * (given - mean[:, None]) - q + jnp.exp(mean)[:, None]
  if present is None:
    return -prior * terms.sum((0, 1))
  present = _check_present(maps, present)
  n, height, width, channels = maps.shape
  peak = maps.reshape(n, height * width, channels).argmax(1)
  chosen = jnp.where(present, peak, height * width)[:, None]
  return -prior * jnp.take_along_axis(terms, chosen, 1).sum((0, 1))


def favourite_category(maps: Array, labels: Array, categories: int) -> Array:
  r"""The category whose images activate each filter most.

  .. math:: \arg\max_c \operatorname{mean}_{x \in c} \sum_p x_p

  Args:
    maps: Activations ``[N, H, W, C]``.
    labels: Category of each image, integers ``[N]``.
    categories: Number of categories; one without images is never chosen.

  Returns:
    int32 ``[C]``.

  Raises:
    ValueError: The maps are not ``[N, H, W, C]``, or the labels not ``[N]``.

  Reference:
    Zhang et al. 2018, section 3.1.
  """
  maps = _checked(maps)
  if jnp.shape(labels) != maps.shape[:1]:
    raise ValueError(
      f'labels: got shape {jnp.shape(labels)}, expected {maps.shape[:1]}'
    )
  member = jax.nn.one_hot(
    labels, categories, dtype=maps.dtype, axis=0
  )  # [K, N]
  count = member.sum(1, keepdims=True)
  total = jnp.matmul(member, maps.sum((1, 2)), precision='highest')
  mean = jnp.where(count > 0, total / jnp.maximum(count, 1), -jnp.inf)
  return mean.argmax(0).astype(jnp.int32)


def _at_peak(maps: Array, beta: float | Array) -> Array:
  """The template of height 1 at the peak of each map, ``[..., H, W, C]``."""
  *_, height, width, channels = maps.shape
  flat = maps.reshape(*maps.shape[:-3], height * width, channels)
  peak = flat.argmax(-2)[..., None, None, :]  # [..., 1, 1, C]
  ahead = (1,) * (maps.ndim - 3)
  y = jnp.arange(height).reshape(*ahead, -1, 1, 1)
  x = jnp.arange(width).reshape(*ahead, 1, -1, 1)
  away = jnp.abs(y - peak // width) + jnp.abs(x - peak % width)
  away = away.astype(jnp.float32)
  return _template(away, max(height, width), beta).astype(maps.dtype)


def _template(away: Array, n: int, beta: float | Array) -> Array:
  """A template of height 1 from the distances to its peak."""
  return jnp.maximum(1 - _positive(beta, 'beta') * away / n, -1)


def _fit(
  maps: Array, beta: float | Array, tau: float | Array | None
) -> tuple[Array, float]:
  """Products of maps and templates ``[N, T, C]``, and a template's share."""
  shapes = templates(*maps.shape[1:3], beta=beta, tau=tau)
  fit = jnp.einsum(
    'nhwc,thw->ntc', maps, shapes.astype(maps.dtype), precision='highest'
  )
  return fit, 1 / len(shapes)


def _log_mean(given: Array, prior: float) -> Array:
  """Logarithm of ``p(x)`` ``[N, C]``."""
  return jax.nn.logsumexp(given, 1) + math.log(prior)


def _checked(maps: Array) -> Array:
  """Maps ``[N, H, W, C]``, in float32 if they are of half precision."""
  if maps.ndim != 4 or not maps.size:
    raise ValueError(f'maps: got shape {maps.shape}, expected [N, H, W, C]')
  return widened(maps)


def _check_present(maps: Array, present: Array) -> Array:
  """Flags ``[N, C]`` as booleans."""
  shape = len(maps), maps.shape[-1]
  if present.shape != shape:
    raise ValueError(f'present: got shape {present.shape}, expected {shape}')
  return present.astype(bool)


def _positive(value: float | Array, name: str) -> float | Array:
  """A finite number above 0; a tracer is returned unchecked."""
  if isinstance(value, jax.core.Tracer):
    return value
  if not 0 < float(value) < math.inf:
    raise ValueError(f'{name}: got {value}, expected a finite number above 0')
  return value
