"""Robust accuracy of nets: curves over epsilon, by net and by attack."""

import functools
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import adversarial, nets
from vizlab.lookup import check_name
from vizlab.runs import plots
from vizlab.runs.inputs import load_classifier, load_other
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import amounts, listed, need_positive
from vizlab_experiments.shared.labelled_images import load_labelled_images

__all__ = ['prepare', 'run']

# What a trial holds for each image, and for each attack and image.
_BY_IMAGE = 'right', 'flat', 'unbounded', 'undefined'
_BY_ATTACK = 'broken', 'queries'


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    judged: The nets, by name.
    epsilons: Radii, from the least to the greatest.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
  """

  config: ConfigDict
  judged: dict[str, nets.Network]
  epsilons: tuple[float, ...]
  images: np.ndarray
  labels: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'batch', 'steps', 'targets', 'squares')
  check_name('config.norm', config.norm, ('linf', 'l2'))
  epsilons = tuple(sorted(amounts(config, 'epsilons')))
  judged = {_name(config.net.weights): load_classifier(config)}
  for weights in listed(config.others):
    name = _name(weights)
    if name in judged:
      raise ValueError(f'config.others: got {name} again, expected other names')
    judged[name] = load_other(config, 'others', weights)
  first, *others = judged.values()
  classes = nets.layer_info(first)[-1].shape[-1]
  for net in others:
    if nets.layer_info(net)[-1].shape[-1] != classes:
      raise ValueError(
        f'config.others: got a net of other classes than the {classes} of '
        f'{config.net.weights}'
      )
  images, labels = _images(config, first)
  like = jax.ShapeDtypeStruct((1, *images.shape[1:]), np.float32)
  for name, net in judged.items():
    try:
      jax.eval_shape(net, like)
    except (TypeError, ValueError) as error:
      raise ValueError(
        f'config.data, config.photos: {name} does not take images of '
        f'{images.shape[1:]}'
      ) from error
  return Inputs(config, judged, epsilons, images, labels)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Attacks each net, batch by batch, and draws the curves."""
  accuracies = {}
  for i, (name, net) in enumerate(inputs.judged.items()):
    arrays = recorder.once(
      f'net_{i}', functools.partial(_tried, inputs, recorder, i, net)
    )
    accuracies[name] = adversarial.summary(_trial(arrays), inputs.epsilons)
  _report(inputs, recorder, accuracies)
  return {
    f'{name}_{what}': value
    for name, each in accuracies.items()
    for what, value in (
      ('clean', each.clean),
      ('robust', float(each.robust[-1])),
      ('warnings', len(each.warnings)),
    )
  }


def _name(weights: str) -> str:
  return pathlib.PurePath(weights).stem


def _images(
  config: ConfigDict, net: nets.Network
) -> tuple[np.ndarray, np.ndarray]:
  """Images and labels of a file, of photos, or of scenes of one object."""
  if not config.data:
    known = load_labelled_images(config, net, objects=1)
    return known.images, known.targets[:, 0]
  path = pathlib.Path(config.data).expanduser()
  if not path.is_file():
    raise ValueError(f'config.data: no such file: {path}')
  try:
    with np.load(path) as file:
      held = {name: file[name] for name in file.files}
  except (AttributeError, EOFError, OSError, ValueError) as error:
    raise ValueError(f'config.data: {path} is no .npz of arrays') from error
  if not {'x_test', 'y_test'} <= set(held):
    raise ValueError(
      f'config.data: {path} holds {[*held]}, expected x_test and y_test'
    )
  if config.count is not None:
    need_positive(config, 'count')
  x, y = (held[name][: config.count] for name in ('x_test', 'y_test'))
  classes = nets.layer_info(net)[-1].shape[-1]
  right = x.ndim == 4 and x.dtype == np.uint8 and y.shape == x.shape[:1]
  right = right and y.dtype.kind in 'iu'
  if not right or not len(x) or not 0 <= y.min() <= y.max() < classes:
    raise ValueError(
      f'config.data: got x_test {x.dtype} {x.shape} and y_test {y.shape}, '
      f'expected uint8 [N, H, W, 3] and classes below {classes}'
    )
  return (x / np.float32(255)).astype(np.float32), y.astype(np.int32)


def _tried(
  inputs: Inputs, recorder: Recorder, i: int, net: nets.Network
) -> dict[str, np.ndarray]:
  """Arrays of an `adversarial.Trial`, images first."""
  config = inputs.config
  key = jax.random.key(config.seed)
  batch = min(config.batch, len(inputs.images))

  def one(rows: slice) -> dict[str, np.ndarray]:
    # One shape, one program: the last batch begins with the first images.
    at = np.arange(rows.start, rows.start + batch) % len(inputs.images)
    result = adversarial.trial(
      net,
      jnp.asarray(inputs.images[at]),
      jnp.asarray(inputs.labels[at], jnp.int32),
      key,
      epsilon=inputs.epsilons,
      norm=config.norm,
      steps=config.steps,
      targets=config.targets,
      squares=config.squares,
    )
    count = rows.stop - rows.start
    arrays = {'label': inputs.labels[at][:count]}
    arrays |= {
      field: np.asarray(getattr(result, field))[:count] for field in _BY_IMAGE
    }
    return arrays | {
      f'{field}/{name}': np.asarray(each).T[:count]
      for field in _BY_ATTACK
      for name, each in getattr(result, field).items()
    }

  return recorder.in_parts(f'net_{i}/batch', len(inputs.images), batch, one)


def _trial(arrays: dict[str, np.ndarray]) -> adversarial.Trial:
  parts: dict[str, Any] = {field: arrays[field] for field in _BY_IMAGE}
  for field in _BY_ATTACK:
    parts[field] = {
      name.split('/')[1]: each.T
      for name, each in arrays.items()
      if name.startswith(f'{field}/')
    }
  return adversarial.Trial(**parts)


def _report(
  inputs: Inputs,
  recorder: Recorder,
  accuracies: dict[str, adversarial.RobustAccuracy],
) -> None:
  config, epsilons = inputs.config, [0.0, *inputs.epsilons]

  def from_clean(
    each: adversarial.RobustAccuracy, accuracy: np.ndarray
  ) -> list[float]:
    return [each.clean, *map(float, accuracy)]

  rows = []
  for name, each in accuracies.items():
    for attack, accuracy in each.by_attack.items():
      rows.append([name, attack, *from_clean(each, accuracy)])
    rows.append([name, 'the worst', *from_clean(each, each.robust)])
  recorder.report(
    'Robust accuracy',
    f'Accuracy on {len(inputs.images)} images in the worst case over attacks '
    f'within {config.norm} balls, in intensities of [0, 1]. Empirical: '
    'stronger attacks may find more.',
    [
      Figure(
        'worst',
        'Accuracy in the worst case over all attacks',
        plots.curves(
          {
            'accuracy': {
              name: from_clean(each, each.robust)
              for name, each in accuracies.items()
            }
          },
          epsilons,
          'epsilon',
        ),
      ),
      *(
        Figure(
          f'attacks_{i}',
          f'Accuracy of {name} by attack',
          plots.curves(
            {
              'accuracy': {
                attack: from_clean(each, accuracy)
                for attack, accuracy in each.by_attack.items()
              }
            },
            epsilons,
            'epsilon',
          ),
        )
        for i, (name, each) in enumerate(accuracies.items())
      ),
      Table(
        'accuracy',
        'Accuracy by net, attack and epsilon',
        ['net', 'attack', *(f'{e:.4f}' for e in epsilons)],
        rows,
      ),
      Table(
        'warnings',
        'Warnings: why these figures may promise too much',
        ['net', 'warning'],
        [
          [name, warning]
          for name, each in accuracies.items()
          for warning in each.warnings or ['none']
        ],
      ),
    ],
  )
