"""L-BFGS for images: one evaluation a step, and never uphill for long."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from vizlab.image.filters import tilt
from vizlab.types import Array

__all__ = ['lbfgs']

_TINY = 1e-12


def lbfgs(
  first: float | Array = 0.05,
  most: float | Array = 0.05,
  *,
  memory: int = 20,
  smooth: float = 0.0,
) -> optax.GradientTransformation:
  """L-BFGS by whole steps, one evaluation each, that are held short.

  Without a line search each step costs as much as one of gradient descent, and
  images of a batch are independent. What a search would guard against is met
  otherwise: steps have a greatest length, and where the slope did not grow
  along the last step (no curvature, or a negative one, which would turn the
  next step uphill) its change is damped towards one that did.

  Args:
    first: Length of the first step, before which nothing is known of the
      curvature: the root mean square over an image.
    most: Of the longest one, likewise.
    memory: How many steps are remembered.
    smooth: Before any curvature is known, a step is the gradient with its
      spectrum times ``1 / f^smooth``; 0 for what is no image. Losses of deep
      layers are flatter along coarse structures: 0.5 suits them.

  Reference:
    Liu & Nocedal 1989; damping after Powell 1978.
  """
  inner = optax.scale_by_lbfgs(memory_size=memory)

  def tilted(tree: Any, power: float) -> Any:
    """To or from the coordinates in which the first guess is the identity."""
    return jax.tree.map(lambda v: tilt(v, power), tree) if smooth else tree

  def update(
    updates: Any, state: Any, params: Any = None, **_: Any
  ) -> tuple[Any, Any]:
    updates, params = tilted(updates, -smooth / 2), tilted(params, smooth / 2)
    fresh = state.count == 0
    step = optax.tree.sub(params, state.params)
    change = _damped(optax.tree.sub(updates, state.updates), step)
    before = optax.tree.sub(updates, change)
    state = state._replace(updates=optax.tree.where(fresh, updates, before))
    updates, state = inner.update(updates, state, params)
    updates = tilted(updates, -smooth / 2)
    length = optax.tree.norm(updates) / optax.tree.size(updates) ** 0.5
    some = jnp.where(length > _TINY, length, 1)
    share = jnp.where(fresh, first / some, jnp.minimum(1, most / some))
    return optax.tree.scale(-share, updates), state

  return optax.GradientTransformationExtraArgs(inner.init, update)


def _damped(change: Any, step: Any, least: float = 0.01) -> Any:
  """Turns the gradient's change towards the step, to a cosine of ``least``."""
  sizes = optax.tree.norm(change) * optax.tree.norm(step)
  cosine = optax.tree.vdot(change, step) / jnp.where(sizes > 0, sizes, 1)
  keep = jnp.where(cosine < least, (1 - least) / (1 - cosine), 1)
  ratio = optax.tree.norm(change) / jnp.maximum(optax.tree.norm(step), _TINY)
  return jax.tree.map(
    lambda y, s: keep * y + (1 - keep) * ratio * s, change, step
  )
