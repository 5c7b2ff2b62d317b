"""Photos in the style of paintings, as several experiments make them."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import style
from vizlab.image import colour
from vizlab.image.filters import resize
from vizlab.objectives import Objective, Score, score
from vizlab.runs import Recorder
from vizlab.runs.optimization import OptimizedImages
from vizlab.runs.settings import each_of, listed, need_not_negative
from vizlab.types import Array
from vizlab_experiments.shared.styling import Job, sizes

__all__ = ['Transfer', 'check_settings']

STARTS = ('content', 'noise', 'style')


@jax.jit
def _read(score_fn: Score, x: jax.Array) -> dict[str, jax.Array]:
  return score_fn(x)


class Transfer:
  """A photo in the style of paintings.

  Attributes:
    where: Heights and widths of what is made, the smallest first.
  """

  def __init__(
    self,
    job: Job,
    picture: np.ndarray,
    painted: list[np.ndarray],
    masks: np.ndarray | None = None,
  ) -> None:
    """Takes the photo, the paintings, and ``[H, W, S]``: where each goes."""
    self.job, self.config = job, job.config
    self.picture, self.painted, self.masks = picture, painted, masks
    self.where = sizes(job.config, *picture.shape[:2])

  def loss(
    self, size: tuple[int, int], alpha: float, **changes: Any
  ) -> Objective:
    """The loss of an image of a size.

    Args:
      size: Height and width.
      alpha: Weight of the content.
      **changes: Settings of `vizlab.style.total_loss` that are not the
        config's.
    """
    config = self.config
    settings = {
      'content_layer': config.content_layer,
      'style_layers': listed(config.style_layers),
      'style_weights': _style_weights(config) or None,
      'alpha': alpha,
      'beta': config.beta,
      'shares': config.shares or None,
      'statistic': config.statistic,
      'colours': config.colours,
      'masks': self.masks,
    }
    return style.transfer_loss(
      self.job.reader, self.picture, self.painted, size, **settings | changes
    )

  def start(self, size: tuple[int, int]) -> Array:
    """Start of the first image."""
    if self.config.start == 'noise':
      return style.noise(jax.random.key(self.config.seed), size)
    content = self.config.start == 'content'
    first = jnp.asarray(self.picture if content else self.painted[0])
    if self.config.colours == 'luminance':
      first = colour.luminance(first)
    return resize(first, size)

  def check(self) -> None:
    """Raises a `ValueError` unless all fits."""
    self.job.check(self._score_with(1.0), self.start, self.where)

  def paint(
    self, recorder: Recorder, name: str, alpha: float, **changes: Any
  ) -> tuple[np.ndarray, list[OptimizedImages]]:
    """The picture, and how it was made at every size; as `loss`."""
    score_at = self._score_with(alpha, **changes)
    found = self.job.coarse_to_fine(
      recorder, name, score_at, self.start, self.where, self._coloured
    )
    return self._coloured(found[-1].images), found

  def _coloured(self, image: np.ndarray) -> np.ndarray:
    """The image as it is shown: only its luminance was painted, perhaps."""
    if self.config.colours != 'luminance':
      return image
    picture = resize(jnp.asarray(self.picture), image.shape[:2])
    return np.asarray(colour.with_colours_of(image, picture))

  def parts(
    self, image: np.ndarray, alpha: float = 1.0, beta: float = 1.0
  ) -> dict[str, float]:
    """The content and the style loss of an image, with their weights."""
    weights = {'content': (alpha, 0.0), 'style': (0.0, beta)}
    size = self.where[-1]
    each = {
      name: self.loss(size, alpha, beta=beta)
      for name, (alpha, beta) in weights.items()
    }
    found = _read(score(self.job.reader, each), jnp.asarray(image))
    return {name: float(value) for name, value in found.items()}

  def _score_with(
    self, alpha: float, **changes: Any
  ) -> Callable[[tuple[int, int]], Score]:
    return lambda size: self.job.minimise(self.loss(size, alpha, **changes))


def check_settings(config: ConfigDict) -> None:
  """Raises a `ValueError` for settings that all transfers have."""
  need_not_negative(config, 'beta')
  _check_weights('shares', config.shares)
  weights, layers = _style_weights(config), listed(config.style_layers)
  _check_weights('style_weights', weights)
  if weights and len(weights) != len(layers):
    raise ValueError(
      f'config.style_weights: got {len(weights)}, expected one for each of '
      f'config.style_layers, {len(layers)}'
    )
  each_of('config.start', [config.start], STARTS)
  each_of('config.colours', [config.colours], style.COLOURS)


def _style_weights(config: ConfigDict) -> tuple[float, ...]:
  """Weights of the style layers; a grid, whose layers differ, has none."""
  return config.get('style_weights', ())


def _check_weights(name: str, values: tuple[float, ...]) -> None:
  good = [isinstance(v, int | float) and 0 <= v < math.inf for v in values]
  if good and not (all(good) and sum(values) > 0):
    raise ValueError(
      f'config.{name}: got {values}, expected finite numbers, none below 0 and '
      'some above'
    )
