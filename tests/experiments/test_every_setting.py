"""The law of settings: each one has its effect on what a run leaves behind.

For each setting of each config there is a row below that says how to change it.
The arrays or figures of a tiny run change when it does; where a setting by
design changes none, its row says what it changes instead.
"""

import collections
import dataclasses
import functools
import hashlib
import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
from tools import forget_programs, write_pictures

from vizlab import io, nets
from vizlab.runs import execute, experiments, plots
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import flatten, parse_tuple


@dataclasses.dataclass(frozen=True)
class Change:
  """Another value, the settings it needs beside it, and what shows it.

  Attributes:
    value: What the setting is changed to.
    also: Settings with which it matters, before and after.
    shows: ``'arrays'`` (and figures) that change; ``'pictures'`` that change;
      ``'nothing'``: all arrays stay as they are; ``'files'``: likewise, and
      there are more of them; or else an error with that text.
  """

  value: Any
  also: dict[str, Any] = dataclasses.field(default_factory=dict)
  shows: str = 'arrays'


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Arrays, figures, pictures and names of files of a finished run."""

  arrays: dict[str, np.ndarray]
  figures: tuple[float, ...]
  pictures: frozenset[str]
  files: frozenset[str]

  @functools.cached_property
  def values(self) -> tuple:
    """The arrays without their names, which tell of settings."""
    return sorted(_digest(a) for a in self.arrays.values()), self.figures


def _digest(a: np.ndarray) -> str:
  text = f'{a.dtype} {a.shape} '.encode()
  return hashlib.sha256(text + a.tobytes()).hexdigest()


def outcome(name, config, path):
  module = experiments.experiment_module(name)
  results = execute(module, config, path)
  parts = collections.defaultdict(list)
  for file in sorted(path.rglob('*.npz')):
    stem = re.sub(r'^maps-\d+$', 'maps', file.stem)  # shards of a folder
    with np.load(file) as found:
      for key, value in found.items():
        parts[f'{stem}/{key}'].append(value)
  arrays = {k: np.concatenate(v) if v[1:] else v[0] for k, v in parts.items()}
  for file in path.rglob('*.safetensors'):
    arrays |= io.read_tensors(file)[0]
  # No results: into how many files they are cut, and how long that took.
  others = {'shards', 'train_seconds'}
  figures = [v for k, v in flatten(results).items() if k not in others]
  return Outcome(
    arrays,
    tuple(sorted(float(v) for v in figures if isinstance(v, int | float))),
    frozenset(_digest(io.read_image(str(p))) for p in path.glob('*.png')),
    frozenset(p.name for p in path.iterdir()),
  )


def changed(config, changes):
  config = config.copy_and_resolve_references()
  for key, value in changes.items():
    *folders, last = key.split('.')
    place = config
    for folder in folders:
      place = place[folder]
    if isinstance(place[last], tuple) and isinstance(value, str):
      value = parse_tuple(value, place[last])
    with place.ignore_type():
      place[last] = value
  return config


NOTHING = np.zeros((8, 8, 3), np.uint8)
# Tiny: one small layer, few pixels, a step or two.
STYLE = {
  'style_layers': 'relu1_1',
  'content_layer': 'relu1_1',
  'size': 32,
  'steps': 2,
  'octaves': 1,
  'snapshots': 0,
}
LONG = {'steps': 40}
# What all that paint have.
PAINT = {
  'statistic': 'moments',
  'normalise': True,
  'tv': 1e5,
  'size': 40,
  'octaves': Change(2, {}),
  'optimizer': 'adam',
  'learning_rate': 0.01,
  'steps': 3,
  'later_steps': Change(1, {'octaves': 2}),
  'patience': Change(1e9, {**LONG, 'normalise': False}),
  'snapshots': Change(1, {}, 'files'),
  'tile': Change(1, {}, 'config.tile: got 1'),
}
TRANSFER = {
  **PAINT,
  'shares': Change((0.9, 0.1), {'styles': '{files}/heart1.png,{files}/a.png'}),
  'content_layer': 'relu2_1',
  'style_layers': 'relu2_1',
  'beta': 1e3,
  'start': 'style',
  'colours': 'matched',
  'seed': Change(5, {'start': 'noise'}),
}
PAINTED = {
  'style': '{files}/a.png',
  'style_mask': '{files}/left.png',
  'target_mask': '{files}/upper.png',
}
CONFLICT = {
  'contents': '{files}/disc1.png',
  'styles': '{files}/heart1.png',
  **STYLE,
}
BASES = {
  'attribution/explain': {
    'images': 'sample:star_and_square',
    'scenes': 0,
    'score_scenes': 0,
    'methods': 'saliency',
    'classes': 1,
    'patch': 96,
  },
  'probes/cue_conflict': {'scenes': 12, 'size': 32},
  'style/doodle': {
    'layers': 'relu1_1',
    'size': 32,
    'steps': 2,
    'octaves': 1,
    'snapshots': 0,
  },
  'synthesis/dream': {
    'layers': 'relu1_1',
    'size': 40,
    'octaves': 1,
    'steps': 1,
    'frames': 0,
    'jitter': 2,
  },
  'attribution/folder': {'methods': 'saliency', 'batch_size': 2, 'patch': 96},
  'adversarial/fool': {'steps': 2, 'every': 1, 'other': ''},
  'synthesis/invert': {
    'images': 'sample:star_and_square',
    'layers': 'relu1_1',
    'size': 16,
    'steps': 1,
    'seeds': 1,
    'tv': (0.1,),
  },
  'attribution/judge': {
    'scenes': 2,
    'batch': 2,
    'methods': 'saliency',
    'faithful': 1,
    'steps': 1,
    'samples': 1,
    'changes': 1,
    'patch': 96,
  },
  'synthesis/mixtures': {
    'layer': 'relu1_1',
    'compare': 'relu1_1',
    'channels': '0,22',  # the two that see anything in grey
    'count': 2,
    'size': 16,
    'steps': 2,
  },
  'synthesis/multifaceted': {
    'layer': 'relu2_1',
    'codes': 'relu1_1',
    'channel': 1,
    'scenes': 8,
    'top': 6,
    'facets': 2,
    'near': 1,
    'size': 16,
    'steps': 1,
  },
  'synthesis/priors': {
    'families': 'none',
    'layer': 'relu1_1',
    'count': 1,
    'size': 16,
    'steps': 1,
  },
  'attribution/sanity': {
    'scenes': 2,
    'batch': 2,
    'methods': 'gradient',
    'random_labels': '',
    'patch': 96,
  },
  'style/grid': {**STYLE, 'ratios': (1e-6,)},
  'style/transfer': STYLE,
  'style/texture': {
    'images': 'sample:star_and_square',
    'models': 'relu1_1',
    'size': 32,
    'steps': 2,
    'octaves': 1,
    'tv': 1.0,
  },
  'training/minivgg': {
    'stages': ((32, 2),),
    'batch_size': 2,
    'warmup_steps': 1,
    'calibration_batches': 1,
    'eval_scenes': 4,
  },
  'probes/units': {
    'layer': 'relu1_1',
    'scenes': 4,
    'batch': 4,
    'count': 1,
    'top': 1,
  },
  'synthesis/visualize': {
    'layers': 'relu1_1',
    'count': 1,
    'batch': 2,
    'size': 16,
    'steps': 1,
    'negative': False,
    'examples': False,
  },
}
PHOTOS = {'photos': '{files}/labelled'}
EXPLAIN = {
  'methods': 'gradient_x_input',
  'layer': Change('relu4_2', {'methods': 'grad_cam'}),
  'patch': Change(80, {'methods': 'occlusion'}),
  'samples': Change(3, {'methods': 'smoothgrad', 'samples': 2}),
  'chunk': Change(1, {'methods': 'smoothgrad', 'samples': 2}, 'nothing'),
}
TABLE = {
  'attribution/explain': {
    **EXPLAIN,
    'seed': Change(5, {'scenes': 1}),
    'images': 'sample:crescent_and_cross',
    'scenes': 1,
    'score_scenes': 2,
    'targets': (3,),
    'classes': 2,
    'labels': Change('{files}/labels.json', {}, 'pictures'),
  },
  'probes/cue_conflict': {
    **{
      k: dataclasses.replace(v, also=CONFLICT | v.also)
      if isinstance(v, Change)
      else Change(v, CONFLICT)
      for k, v in TRANSFER.items()
    },
    'shares': Change((3.0,), CONFLICT),
    'style_weights': Change((30.0,), CONFLICT),
    'alpha': Change(1e3, CONFLICT),
    'seed': Change(5, {}, 'pictures'),
    'others': 'minivgg_random_labels',
    'images': Change('{files}/disc1-heart1.png', {}, 'pictures'),
    'scenes': Change(20, {}, 'pictures'),
    'contents': Change('{files}/tee1.png', CONFLICT),
    'styles': Change('{files}/tee1.png', CONFLICT),
    'size': Change(40, {}, 'pictures'),
    'crop': Change(True, {'images': '{files}/disc1-heart1.png'}, 'pictures'),
  },
  'style/doodle': {
    **PAINT,
    'seed': 5,
    'style': Change('{files}/heart1.png', PAINTED),
    'style_mask': Change('{files}/upper.png', PAINTED),
    'target_mask': Change('{files}/left.png', PAINTED),
    'layers': 'relu2_1',
    'weight': 1e2,
  },
  'synthesis/dream': {
    'seed': 5,
    'image': 'sample:crescent_and_cross',
    'size': 48,
    'layers': 'relu2_1',
    'channels': '3',
    'power': 2.0,
    'guide': 'sample:crescent_and_cross',
    'guides': Change(2, {'guide': 'sample:crescent_and_cross'}),
    'octaves': Change(2, {'size': 48}),
    'scale': Change(1.2, {'size': 48, 'octaves': 2}),
    'steps': 2,
    'rate': 0.02,
    'levels': 3,
    'jitter': 9,
    'tile': 20,
    'frames': 1,
    'zoom': Change(1.3, {'frames': 1}),
    'frame_octaves': Change(2, {'frames': 1, 'size': 48}),
    'frame_steps': Change(3, {'frames': 1, 'frame_steps': 1}),
  },
  'attribution/folder': {
    **EXPLAIN,
    'folder': '{files}/labelled',
    'batch_size': Change(1, {}, 'nothing'),
    'workers': Change(0, {}, 'nothing'),
    'classes': 2,
    'labels': Change('{files}/labels.json', {}, 'pictures'),
    'half': False,
    'shown': Change(1, {}, 'pictures'),
  },
  'adversarial/fool': {
    'seed': Change(5, {}, 'nothing'),
    'images': 'sample:crescent_and_cross',
    'targets': (3,),
    'labels': Change('{files}/labels.json', {}, 'pictures'),
    'other': 'minivgg_random_labels',
    # Of one of its two objects the sample is taken for already.
    'enough': Change(0.001, {'targets': (7, 13)}),
    'rate': 0.004,
    'steps': 3,
    'every': 2,
  },
  'synthesis/invert': {
    'seed': 5,
    'images': 'sample:crescent_and_cross',
    'layers': 'relu2_1',
    'size': 20,
    'tv': (30.0,),
    'seeds': 2,
    'noise': 0.3,
    'optimizer': 'adam',
    'learning_rate': 0.01,
    'steps': 2,
    'patience': Change(1e9, LONG),
  },
  'attribution/judge': {
    **EXPLAIN,
    'methods': 'gradient_x_input',
    'seed': 5,
    'scenes': 3,
    'photos': Change('{files}/labelled', {}),
    'faithful': 2,
    'steps': 2,
    'samples': 2,
    'changes': 2,
    'batch': Change(1, {'faithful': 2}, 'nothing'),
    'chunk': Change(1, {}, 'nothing'),
  },
  'synthesis/mixtures': {
    'seed': 5,
    'layer': 'relu2_1',
    'channels': '0,9',
    'compare': 'relu2_1',
    'count': 3,
    'image': 'pyramid',
    'size': 20,
    'steps': 3,
    'diversity': 30.0,
    'against': 3.0,
    'alignment': 2e3,
  },
  'synthesis/multifaceted': {
    'seed': 5,
    'layer': 'relu3_1',
    'channel': 3,
    'codes': 'relu2_1',
    'scenes': 9,
    'photos': Change('{files}/labelled', {'top': 3, 'facets': 1}),
    'top': 5,
    'facets': 3,
    'near': 2,
    'size': 20,
    'steps': 2,
    'learning_rate': Change(0.2, {'steps': 2}),
    # It changes rounding, which t-SNE enlarges.
    'batch': Change(0, {}, 'config.batch: got 0'),
  },
  'synthesis/priors': {
    'seed': 5,
    'layer': 'relu2_1',
    'channels': '3',
    'count': 2,
    'families': 'maco',
    'size': 20,
    'steps': 2,
    'rate': 0.1,
    'l2': Change(1e3, {'families': 'l2', 'steps': 2}),
    'tv': Change(1e3, {'families': 'frequency', 'steps': 2}),
    'decay': Change(0.5, {'families': 'yosinski'}),
    'sigma': Change(2.0, {'families': 'blurred gradient'}),
    'share': Change(0.5, {'families': 'yosinski'}),
    'fourier_decay': Change(0.5, {'families': 'fourier'}),
    'pad': Change(0.4, {'families': 'robust'}),
    'jitter': Change(0.4, {'families': 'robust'}),
    'scale': Change(0.6, {'families': 'robust'}),
    'rotation': Change(80.0, {'families': 'robust'}),
  },
  'attribution/sanity': {
    **EXPLAIN,
    'seed': 5,
    'random_labels': 'minivgg_random_labels',
    'learned.seed': Change(5, {'random_labels': 'minivgg_random_labels'}),
    'learned.scenes': Change(1, {'random_labels': 'minivgg_random_labels'}),
    'learned.size': Change(32, {'random_labels': 'minivgg_random_labels'}),
    'scenes': 3,
    'photos': Change('{files}/labelled', {}),
    'batch': Change(1, {}, 'nothing'),
  },
  'style/grid': {
    **TRANSFER,
    'content': 'sample:crescent_and_cross',
    'styles': '{files}/heart1.png',
    'ratios': (1e-4,),
  },
  'style/transfer': {
    **TRANSFER,
    'content': 'sample:crescent_and_cross',
    'styles': '{files}/heart1.png',
    'masks': '{files}/left.png',
    'normalise': False,
    'optimizer': 'lbfgs',
    'alpha': 1e3,
    'style_scale': 0.5,
    'style_weights': (30.0,),
  },
  'style/texture': {
    **PAINT,
    'seed': 5,
    'images': 'sample:crescent_and_cross',
    'models': 'relu1_1:3',
    'weight': 1e2,
  },
  'training/minivgg': {
    'seed': 5,
    'stages': ((32, 1), (48, 1)),
    'batch_size': 3,
    'learning_rate': 1e-2,
    'warmup_steps': 0,
    'weight_decay': 0.5,
    'first_kernel_scale': 0.1,
    'noise': 0.5,
    'two_objects': 1.0,
    'correlation': 1.0,
    'fixed_scenes': 2,
    'random_labels': Change(True, {'fixed_scenes': 4}),
    'calibration_batches': 2,
    # It changes the accuracy, which is 0 after two steps.
    'eval_scenes': Change(0, {}, 'config.eval_scenes: got 0'),
  },
  'probes/units': {
    'seed': Change(5, {}, 'pictures'),
    'layer': Change('relu2_1', {}, 'pictures'),
    'channels': Change('9', {}, 'pictures'),
    'count': 2,
    'unit': Change('channel', {}, 'pictures'),
    'top': Change(2, {}, 'pictures'),
    'scenes': Change(9, {'scenes': 2, 'top': 2}, 'pictures'),
    'photos': Change('{files}/labelled', {}, 'pictures'),
    'batch': Change(1, {}, 'nothing'),
  },
  'synthesis/visualize': {
    'seed': 5,
    'layers': 'relu2_1',
    'objective': 'neuron',
    'channels': '9',
    'count': 2,
    'image': 'pyramid',
    'size': 20,
    'steps': 2,
    'patience': Change(1e9, LONG),
    'learning_rate': Change(0.5, {'steps': 2}),
    'decay': 0.5,
    'pad': 0.4,
    'jitter': 0.4,
    'scale': 0.6,
    'rotation': 80.0,
    'crop': Change(0.9, {'image': 'maco'}),
    'noise': 0.5,
    'draws': 3,
    'tv': Change(1e3, {'steps': 2}),
    'l2': Change(1e3, {'steps': 2}),
    'opacity': True,
    'start': 'sample:crescent_and_cross',
    # Each batch starts from noise of its own.
    'batch': Change(1, {'count': 2}),
    'negative': True,
    'examples': Change(True, {'scenes': 2}, 'pictures'),
    'scenes': Change(9, {'scenes': 1, 'examples': True}, 'pictures'),
    'photos': Change(
      '{files}/labelled', {'scenes': 2, 'examples': True}, 'pictures'
    ),
  },
}
NET = {
  'weights': 'minivgg_random_labels',
  'arch': 'minivgg',
  'preprocess': 'caffe',
  'pool': 'avg',
}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """Pictures, masks and names of classes for the settings that are files."""
  folder = tmp_path_factory.mktemp('files')
  (folder / 'labelled').mkdir()
  write_pictures(folder, ['a', 'disc1', 'heart1', 'tee1', 'disc1-heart1'])
  write_pictures(folder / 'labelled', ['0_a', '1_b', '2_c'])
  half = np.zeros((96, 96, 3), np.uint8)
  half[:, :48] = 255
  io.write_png(folder / 'left.png', half)
  io.write_png(folder / 'upper.png', half.swapaxes(0, 1).copy())
  names = [f'class {i}' for i in range(16)]
  (folder / 'labels.json').write_text(json.dumps(names))
  return folder


def base_of(name):
  config = experiments.config_module(name).get_test_config()
  return changed(config, BASES[name])


def row_of(name, setting):
  row = TABLE[name][setting]
  return row if isinstance(row, Change) else Change(row)


@pytest.mark.parametrize('name', experiments.known())
def test_every_setting_has_a_row(name):
  config = experiments.config_module(name).get_config()
  settings = {*flatten(config.to_dict())} - {'experiment'}
  assert settings == {*TABLE[name], *(f'net.{key}' for key in NET)} & settings
  rows = {key for key in TABLE[name]} - settings
  assert not rows, f'no settings of {name}: {rows}'


@pytest.mark.parametrize('name', experiments.known())
def test_every_setting_has_its_effect(name, files, tmp_path, monkeypatch):
  made, runs = {}, itertools.count()

  def run(changes, draws=False):
    filled = {
      k: v.format(files=files) if isinstance(v, str) else v
      for k, v in changes.items()
    }
    key = draws, repr(sorted(filled.items()))
    if key not in made:
      forget_programs(0.3)
      config = changed(base_of(name), filled)
      with monkeypatch.context() as patch:
        if not draws:  # reports take longer than what they tell of
          patch.setattr(Recorder, 'report', lambda *parts: None)
          patch.setattr(plots, '_drawn', lambda *parts: NOTHING)
        made[key] = outcome(name, config, tmp_path / f'run{next(runs)}')
    return made[key]

  wrong = []
  for setting in TABLE[name]:
    row = row_of(name, setting)
    try:
      _check(row, run, setting)
    except (AssertionError, ValueError) as error:
      wrong.append(f'{setting}: {error}')
  assert not wrong, '\n'.join(wrong)


def _check(row, run, setting):
  new = {**row.also, setting: row.value}
  if row.shows.startswith('config.'):
    with pytest.raises(ValueError, match=row.shows):
      run(new)
    return
  draws = row.shows == 'pictures'
  before, after = run(row.also, draws), run(new, draws)
  if row.shows in ('arrays', 'pictures'):
    kind = 'pictures' if draws else 'values'
    moved = getattr(before, kind) != getattr(after, kind)
    assert moved, f'changes none of the {row.shows}'
  else:
    assert before.arrays.keys() == after.arrays.keys()
    for key, value in before.arrays.items():
      if value.dtype.kind in 'fiu':
        np.testing.assert_allclose(
          after.arrays[key], value, rtol=1e-4, atol=1e-5, err_msg=key
        )
      else:
        np.testing.assert_array_equal(after.arrays[key], value, key)
    np.testing.assert_allclose(
      after.figures, before.figures, rtol=1e-4, atol=1e-6
    )
    if row.shows == 'files':
      assert after.files > before.files, 'writes no more files'


@pytest.mark.parametrize('setting', NET)
@pytest.mark.parametrize('name', experiments.known())
def test_every_setting_of_the_net_reaches_it(
  name, setting, monkeypatch, tmp_path
):
  config = base_of(name)
  if 'net' not in config:
    assert name == 'training/minivgg', 'the one that makes a net'
    return

  class Loaded(Exception):
    pass

  def load(source, **settings):
    raise Loaded({'weights': source, **settings})

  monkeypatch.setattr(nets, 'load', load)
  experiment = experiments.experiment_module(name)
  config.net[setting] = NET[setting]
  with pytest.raises(Loaded) as caught:
    execute(experiment, config, tmp_path / 'run')
  assert caught.value.args[0][setting] == NET[setting]
