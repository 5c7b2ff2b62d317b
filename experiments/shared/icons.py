"""Icons: images that excite directions of a layer, made in batches."""

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, optimize, render, rules, synthesis
from vizlab.objectives import Score, direction, score
from vizlab.runs.optimization import optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import need_not_negative, need_positive
from vizlab.types import ImageParam
from vizlab_experiments.shared.progress import stoppable

__all__ = [
  'aligned_icons',
  'check_icons',
  'icon_problem',
  'icons',
  'one_hot',
  'paint',
]


def check_icons(config: ConfigDict) -> None:
  """Checks the settings that `icons` reads."""
  need_positive(config, 'size', 'steps', 'learning_rate', 'icons_batch')
  need_not_negative(config, 'power')


def icons(
  recorder: Recorder,
  name: str,
  config: ConfigDict,
  net: nets.Network,
  layer: str,
  vectors: np.ndarray,
) -> np.ndarray:
  """Pictures that excite directions of a layer, ``[N, size, size, 3]`` uint8.

  Each batch is saved, so that an interrupted run resumes after the last one.

  Args:
    recorder: Recorder of the run.
    name: Name of the result, unique within the run.
    config: Its ``size``, ``steps``, ``learning_rate``, ``power`` (see
      `vizlab.objectives.direction`), ``icons_batch`` and ``seed`` are read.
    net: The network.
    layer: The layer, a map.
    vectors: The directions, ``[..., C]``; the pictures are in one axis.
  """
  vectors = vectors.reshape(-1, vectors.shape[-1])
  count = min(config.icons_batch, len(vectors))

  def some(rows: slice) -> dict[str, np.ndarray]:
    wanted = vectors[rows]
    # Always as many, so that one program makes them all.
    padded = np.resize(wanted, (count, vectors.shape[1]))
    made = paint(config, *icon_problem(config, net, layer, padded))
    return {'icons': made[: len(wanted)]}

  return recorder.once(
    name,
    lambda: recorder.in_parts(f'{name}/icons', len(vectors), count, some),
  )['icons']


def aligned_icons(
  recorder: Recorder,
  name: str,
  config: ConfigDict,
  net: nets.Network,
  layer: str,
  vectors: np.ndarray,
) -> np.ndarray:
  """Pictures like `icons`, that change smoothly from one cell to the next.

  All are made at once, with the coarse structure that neighbours share.

  Args:
    recorder: Recorder of the run.
    name: Name of the result, unique within the run.
    config: What `icons` reads but ``icons_batch``, and ``reach``, see
      `vizlab.synthesis.shared`.
    net: The network.
    layer: The layer, a map.
    vectors: The directions of the cells, ``[rows, columns, C]``.

  Returns:
    ``[rows * columns, size, size, 3]`` uint8.
  """
  score_fn, own = icon_problem(config, net, layer, vectors)
  made = optimize_resumable(
    recorder,
    name,
    score_fn,
    synthesis.shared(own, reach=config.reach),
    jax.random.key(config.seed),
    **_settings(config),
  )
  side = config.size
  return render.to_uint8(made.images).reshape(-1, side, side, 3)


def paint(config: ConfigDict, score_fn: Score, image: ImageParam) -> np.ndarray:
  """Pictures uint8 that maximise a score, made in one go.

  Args:
    config: Its ``size``, ``steps``, ``learning_rate`` and ``seed`` are read.
    score_fn: The score.
    image: Parameterization of the images.
  """
  progress = optimize.run(
    score_fn,
    image,
    jax.random.key(config.seed),
    **_settings(config),
  )
  last = optimize.final(stoppable(progress))
  return render.to_uint8(np.asarray(last.image))


def _settings(config: ConfigDict) -> dict[str, Any]:
  """Arguments of `vizlab.optimize.run` for all icons."""
  return {
    'steps': config.steps,
    'optimizer': optimize.adam(config.learning_rate),
    'augment': synthesis.robust(config.size),
  }


def icon_problem(
  config: ConfigDict, net: nets.Network, layer: str, vectors: np.ndarray
) -> tuple[Score, ImageParam]:
  """Score of images in directions ``[..., C]``, and the images."""
  wanted = direction(layer, vectors, power=config.power)
  score_fn = score(net, wanted).with_rules(relu=rules.redirected_relu)
  return score_fn, synthesis.fourier(
    (*vectors.shape[:-1], config.size, config.size, 3)
  )


def one_hot(units: np.ndarray, channels: int) -> np.ndarray:
  """Directions of single units, ``[N, C]``."""
  return np.eye(channels, dtype=np.float32)[np.asarray(units)]
