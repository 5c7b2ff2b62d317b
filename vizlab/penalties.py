"""Penalties: what a natural image avoids, as one number an image.

``penalty(image [..., H, W, C]) -> [...]``. Penalties add, and multiply with
numbers (or with one number an image); like objectives they are pytrees, and
their weights and exponents are leaves.

>>> import jax.numpy as jnp
>>> from vizlab.penalties import l2, tv
>>> both = 0.1 * l2() + 2.0 * tv(beta=2.0)
>>> round(float(both(jnp.ones((4, 4, 3)))), 4)
4.8
"""

import jax.numpy as jnp

from vizlab.image.filters import blur as gaussian
from vizlab.types import Array, number, value

__all__ = [
  'AlphaNorm',
  'Blur',
  'Penalty',
  'Scaled',
  'Sum',
  'TotalVariation',
  'alpha_norm',
  'blur',
  'l2',
  'penalty',
  'tv',
]


class Penalty:
  """Base of all penalties: ``penalty(image) -> [...]``."""

  __array_ufunc__ = None

  def __call__(self, image: Array) -> Array:
    """Returns one number an image."""
    raise NotImplementedError

  def __add__(self, other: 'Penalty') -> 'Penalty':
    if not isinstance(other, Penalty):
      raise ValueError(f'other: got {other!r}, expected a penalty to add')
    return Sum(self, other)

  def __mul__(self, weight: float | Array) -> 'Penalty':
    return Scaled(number(weight, 'weight'), self)

  __rmul__ = __mul__


# The decorator of a penalty of one's own.
penalty = value


@value()
class Sum(Penalty):
  """``first + second``."""

  first: Penalty
  second: Penalty

  def __call__(self, image: Array) -> Array:
    """Adds the two."""
    return self.first(image) + self.second(image)


@value()
class Scaled(Penalty):
  """``weight * inner``."""

  weight: Array
  inner: Penalty

  def __call__(self, image: Array) -> Array:
    """Multiplies."""
    y = self.inner(image)
    return jnp.asarray(self.weight).astype(y.dtype) * y


@value()
class AlphaNorm(Penalty):
  """See `alpha_norm`."""

  alpha: Array
  centre: Array

  def __call__(self, image: Array) -> Array:
    """``sum |x - centre|^alpha``."""
    away = jnp.abs(image - self.centre)
    return _power(away, self.alpha).sum((-3, -2, -1))


@value()
class TotalVariation(Penalty):
  """See `tv`."""

  beta: Array

  def __call__(self, image: Array) -> Array:
    """``sum (dx^2 + dy^2)^(beta / 2)``."""
    down = jnp.diff(image, axis=-3)[..., :, :-1, :]
    right = jnp.diff(image, axis=-2)[..., :-1, :, :]
    square = jnp.square(down) + jnp.square(right)
    return _power(square, self.beta / 2).sum((-3, -2, -1))


@value()
class Blur(Penalty):
  """See `blur`."""

  sigma: Array

  def __call__(self, image: Array) -> Array:
    """``sum (x - blurred x)^2``."""
    return jnp.square(image - gaussian(image, self.sigma)).sum((-3, -2, -1))


def alpha_norm(alpha: float = 6.0, centre: float = 0.5) -> Penalty:
  """``sum |x - centre|^alpha``: holds intensities in a range.

  Args:
    alpha: The exponent, at least 1; 6 is nearly a wall.
    centre: The intensity that costs nothing.

  Raises:
    ValueError: Not a finite number, or an alpha below 1.

  Reference:
    Mahendran & Vedaldi 2015, section 3; of the mean-subtracted image.
  """
  return AlphaNorm(number(alpha, 'alpha', 1.0), number(centre, 'centre'))


def l2(centre: float = 0.0) -> Penalty:
  """``sum (x - centre)^2`` (Simonyan 2013, equation 1)."""
  return alpha_norm(2.0, centre)


def tv(beta: float = 2.0) -> Penalty:
  """Total variation: ``sum (dx_ij^2 + dy_ij^2)^(beta / 2)``.

  ``dx_ij = x_{i,j+1} - x_ij`` and ``dy_ij = x_{i+1,j} - x_ij``, over all places
  that have a right and a lower neighbour, and all colours.

  Args:
    beta: 1 is the classic total variation, 2 its square, which spares edges
      less and does not cause spikes.

  Raises:
    ValueError: Not a finite positive number.

  Reference:
    Mahendran & Vedaldi 2015, section 3 (their ``R_{V^beta}``).

  >>> import jax.numpy as jnp
  >>> ramp = jnp.broadcast_to(jnp.arange(4.0)[:, None, None], (4, 3, 1))
  >>> float(tv(1.0)(ramp))  # 3 x 2 places with a slope of 1
  6.0
  """
  return TotalVariation(number(beta, 'beta', 1e-6))


def blur(sigma: float = 1.0) -> Penalty:
  """``sum (x - blurred x)^2``: what a Gaussian blur takes away.

  Args:
    sigma: Standard deviation in pixels.

  Raises:
    ValueError: Not a finite positive number.

  Reference:
    Olah, Mordvintsev & Schubert 2017: penalising high frequencies.
  """
  return Blur(number(sigma, 'sigma', 1e-6))


def _power(base: Array, exponent: Array) -> Array:
  """``base^exponent`` of what is not negative, with no slope at 0.

  There the slope would be infinite, or NaN where the exponent is traced.
  """
  some = base > 0
  return jnp.where(some, jnp.where(some, base, 1) ** exponent, 0)
