"""Parameterisations, augments and penalties that a config's settings ask for.

A config that is read here has the settings ``image``, ``size``, ``decay``,
``pad``, ``jitter``, ``scale``, ``rotation``, ``crop``, ``noise``, ``draws``,
``tv``, ``l2``, ``opacity``, ``start`` and ``learning_rate``, as
``synthesis/visualize``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.tree_util import Partial
from ml_collections import ConfigDict

from vizlab import io, optimize, penalties, render, synthesis
from vizlab.runs.optimization import optimize_resumable
from vizlab.runs.recorder import Recorder, flat
from vizlab.runs.settings import each_of, need_not_negative, need_positive
from vizlab.synthesis.maco import Tracked
from vizlab.types import Array, Augment, ImageParam, ScoreFn

__all__ = [
  'IMAGES',
  'check_priors',
  'check_robust',
  'image_of',
  'make_pictures',
  'robust_of',
  'settings_of',
]

Shape = tuple[int, ...]


class Kind(NamedTuple):
  """A parameterisation and what suits it.

  Attributes:
    make: ``shape -> ImageParam``.
    rate: Learning rate of Adam.
    augment: ``size -> Augment``.
  """

  make: Callable[..., ImageParam]
  rate: float
  augment: Callable[[int], Augment] = synthesis.robust


IMAGES = {
  'fourier': Kind(synthesis.fourier, 0.05),
  'pyramid': Kind(synthesis.pyramid, 0.05),
  'cppn': Kind(synthesis.cppn, 0.01),
  'maco': Kind(synthesis.maco, 0.2, lambda size: synthesis.noisy_crops()),
}


def check_priors(config: ConfigDict) -> None:
  """Raises a `ValueError` for settings of priors that cannot be."""
  each_of('config.image', [config.image], IMAGES)
  need_positive(config, 'draws', 'crop')
  need_not_negative(config, 'decay', 'noise', 'tv', 'l2')
  check_robust(config)
  if config.crop > 1:
    raise ValueError(
      f'config.crop: got {config.crop}, expected a share, at most 1'
    )
  if config.start and config.image != 'fourier':
    raise ValueError(
      f'config.start: got {config.start!r} for {config.image!r}, expected '
      "none: only 'fourier' starts from a picture"
    )


def image_of(config: ConfigDict, shape: Shape) -> ImageParam:
  """The parameterisation of images ``[..., H, W, 3]``.

  With ``config.opacity`` it has a fourth channel; MACO, which has the colours
  of photos, sums the gradients instead.
  """
  make = IMAGES[config.image].make
  if config.image == 'maco':
    return synthesis.tracked(make(shape)) if config.opacity else make(shape)
  shape = (*shape[:-1], 4 if config.opacity else 3)
  if config.image != 'fourier':
    return make(shape)
  start = _start(config, shape) if config.start else None
  return make(shape, decay=config.decay, start=start)


def _start(config: ConfigDict, shape: Shape) -> np.ndarray:
  image = io.read_image(config.start, shorter=config.size, crop=config.size)
  opacity = np.full((*image.shape[:-1], 1), 0.5, np.float32)
  image = np.concatenate([image, opacity], -1)[..., : shape[-1]]
  return np.broadcast_to(image, shape)


def _augment(config: ConfigDict) -> Augment:
  """Robustness to transformations; for MACO, crops of random size."""
  background = [synthesis.on_noise()] if config.opacity else []
  grain = synthesis.noise(config.noise)
  if config.image == 'maco':
    crops = synthesis.resized_crop(config.crop, 1.0)
    return synthesis.compose(crops, grain)
  return synthesis.compose(*background, *robust_of(config).parts, grain)


def robust_of(config: ConfigDict) -> Augment:
  """Robustness to the transformations of ``pad`` to ``rotation``."""
  return synthesis.robust(
    config.size,
    border=config.pad,
    shift=config.jitter,
    spread=config.scale,
    degrees=config.rotation,
  )


def check_robust(config: ConfigDict) -> None:
  """Raises a `ValueError` unless `robust_of` can be made."""
  need_not_negative(config, 'pad', 'jitter', 'rotation')
  if not 0 <= config.scale < 1:
    raise ValueError(f'config.scale: got {config.scale}, expected 0 to below 1')
  for name in ('pad', 'jitter'):
    if config[name] > 1:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected a share, at most 1'
      )


def _penalty(config: ConfigDict) -> Callable[[Array], Array]:
  """Total variation and the L2 norm about grey, each by its weight."""
  both = config.tv * penalties.tv(2.0) + config.l2 * penalties.l2(0.5)
  return Partial(_colours, both)


def _colours(penalty: penalties.Penalty, image: Array) -> Array:
  return penalty(image[..., :3])


def _optimizer(config: ConfigDict) -> Partial:
  """Adam, which for transparent images of MACO sums the gradients, too."""
  rate = config.learning_rate or IMAGES[config.image].rate
  if config.image == 'maco' and config.opacity:
    return Partial(_tracking_adam, rate)
  return optimize.adam(rate)


def _tracking_adam(rate: Array) -> optax.GradientTransformation:
  return synthesis.track(optax.adam(rate))


def settings_of(config: ConfigDict) -> dict[str, Any]:
  """Arguments of `vizlab.optimize.run` besides the score and the images."""
  return {
    'optimizer': _optimizer(config),
    'penalty': _penalty(config),
    'augment': _augment(config),
    'draws': config.draws,
  }


def make_pictures(
  recorder: Recorder,
  name: str,
  score_fn: ScoreFn,
  image: ImageParam,
  config: ConfigDict,
) -> tuple[list[np.ndarray], tuple[np.ndarray, np.ndarray]]:
  """Optimizes images; transparent ones are laid on white.

  Returns:
    Pictures uint8 ``[H, W, 3]``, and their first and last scores.
  """
  path = recorder.workdir / f'{flat(name)}_gradients.npz'

  def keep(now: optimize.Progress) -> None:
    # Written before the images are: where those are, this is.
    if isinstance(image, Tracked):
      recorder.arrays(path.stem, total=now.state.z.total)

  made = optimize_resumable(
    recorder,
    name,
    score_fn,
    image,
    jax.random.key(config.seed),
    steps=config.steps,
    patience=config.patience,
    watch=keep,
    **settings_of(config),
  )
  colours, opacity = made.images[..., :3], made.images[..., 3:]
  if isinstance(image, Tracked):
    with np.load(path) as found:
      opacity = np.asarray(synthesis.opacity_of(found['total']))
  if opacity.shape[-1]:
    colours = opacity * colours + 1 - opacity
  return [render.to_uint8(x) for x in colours], made.ends
