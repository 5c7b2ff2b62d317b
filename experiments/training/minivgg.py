"""Trains a small VGG on procedural scenes."""

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, render
from vizlab.data.scenes import SHAPE_NAMES
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import need_positive
from vizlab_experiments.shared import scene_training
from vizlab_experiments.shared.records import curve, write_record

__all__ = ['prepare', 'run']


def prepare(config: ConfigDict) -> ConfigDict:
  """Checks the settings."""
  scene_training.check(config)
  scene_training.check_sizes(config, _untrained(config))
  need_positive(config, 'eval_scenes')
  return config


def run(config: ConfigDict, recorder: Recorder) -> dict[str, Any]:
  """Trains, folds, evaluates and writes the net and its training record."""
  start = _untrained(config)
  net, seconds, _ = scene_training.train(config, recorder, start)
  accuracy = scene_training.accuracy(net, config, config.eval_scenes)
  nets.save(net, recorder.workdir / 'minivgg.safetensors', half=True)
  rows = curve(recorder)
  results = {
    'accuracy': accuracy,
    'train_seconds': seconds,
    'parameters': nets.param_count(net),
  }
  write_record(recorder, results, rows)
  kernel = nets.get_params(net)['conv1_1']['kernel']
  recorder.report(
    'Training of minivgg',
    _summary(config, accuracy),
    [
      Figure(
        'filters',
        'The kernels of conv1_1, each scaled to itself',
        render.filters(np.asarray(kernel)),
      ),
      Table(
        'training',
        'Loss and accuracy while training, on scenes of one and two objects',
        ['step', 'loss', 'accuracy'],
        [[row['step'], row['loss'], row['accuracy']] for row in rows],
      ),
    ],
  )
  return results


def _untrained(config: ConfigDict) -> nets.Network:
  key = jax.random.key(config.seed)
  return nets.create('minivgg', key=key, classes=len(SHAPE_NAMES))


def _summary(config: ConfigDict, accuracy: float) -> str:
  if config.fixed_scenes:
    labels = 'random labels' if config.random_labels else 'labels'
    return (
      f'The net has learned by heart the {labels} of {config.fixed_scenes} '
      f'scenes: it names {accuracy:.2%} of them as it was taught.'
    )
  return (
    f'The net names {accuracy:.2%} of {config.eval_scenes} fresh one-object '
    'scenes rightly. Its first kernels must show edges and colours, not noise.'
  )
