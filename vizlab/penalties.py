"""Penalties: what a natural image avoids, as one number per image.

``penalty(image [..., H, W, C]) -> [...]``. Penalties add, subtract, and
multiply with numbers (or with one number per image); like objectives they are
pytrees, and their weights and exponents are leaves.

>>> import jax.numpy as jnp
>>> from vizlab.penalties import l2, tv
>>> both = 0.1 * l2() + 2.0 * tv(beta=2.0)
>>> round(float(both(jnp.ones((4, 4, 3)))), 4)
4.8
>>> ramp = jnp.broadcast_to(jnp.arange(4.0)[:, None, None], (4, 3, 1))
>>> float(tv(1.0)(ramp))  # 3 x 2 positions with a slope of 1
6.0
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from vizlab.image.filters import blur as gaussian
from vizlab.terms import Term, at_least, decorator
from vizlab.types import Array

__all__ = ['Penalty', 'alpha_norm', 'blur', 'l2', 'penalty', 'tv']


class Penalty(Term, kind='a penalty'):
  """Function ``image [..., H, W, C] -> [...]``, one number per image.

  `penalty` makes one of a function; a class of one's own derives from this one
  and is a `vizlab.types.pytree_dataclass`.
  """

  def __call__(self, image: Array) -> Array:
    """Returns one number per image."""
    raise NotImplementedError


def penalty(fn: Callable[..., Array] | None = None, /, **convert: Any) -> Any:
  """Makes a penalty of a function ``(image, *settings) -> [...]``.

  Args:
    fn: The function; ``None`` for a decorator with arguments.
    **convert: For some settings a function ``(value, name) -> value`` that
      checks and converts when the penalty is made, such as
      `vizlab.terms.at_least`. Numbers become float32 without one.

  Returns:
    A function of the settings alone that returns a `Penalty`.
  """
  return _decorate(fn, **convert)


_decorate = decorator(Penalty, 1)


@penalty(alpha=at_least(1.0))
def alpha_norm(image: Array, alpha: float = 6.0, centre: float = 0.5) -> Array:
  """``sum |x - centre|^alpha``: holds intensities in a range.

  Args:
    alpha: The exponent, at least 1; 6 is nearly a wall.
    centre: The intensity that costs nothing.

  Raises:
    ValueError: Not a finite number, or an alpha below 1.

  Reference:
    Mahendran & Vedaldi 2015, section 3; of the mean-subtracted image.
  """
  return _power(jnp.abs(image - centre), alpha).sum((-3, -2, -1))


def l2(centre: float = 0.0) -> Penalty:
  """``sum (x - centre)^2`` (Simonyan 2013, equation 1)."""
  return alpha_norm(2.0, centre)


@penalty(beta=at_least(1e-6))
def tv(image: Array, beta: float = 2.0) -> Array:
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
  """
  down = jnp.diff(image, axis=-3)[..., :, :-1, :]
  right = jnp.diff(image, axis=-2)[..., :-1, :, :]
  square = jnp.square(down) + jnp.square(right)
  return _power(square, beta / 2).sum((-3, -2, -1))


@penalty(sigma=at_least(1e-6))
def blur(image: Array, sigma: float = 1.0) -> Array:
  """``sum (x - blurred x)^2``: what a Gaussian blur takes away.

  Args:
    sigma: Standard deviation in pixels.

  Raises:
    ValueError: Not a finite positive number.

  Reference:
    Olah, Mordvintsev & Schubert 2017: penalising high frequencies.
  """
  return jnp.square(image - gaussian(image, sigma)).sum((-3, -2, -1))


def _power(base: Array, exponent: Array) -> Array:
  """``base^exponent`` of what is not negative, with no slope at 0.

  There the slope would be infinite, or NaN where the exponent is traced.
  """
  some = base > 0
  return jnp.where(some, jnp.where(some, base, 1) ** exponent, 0)
