"""The law of settings: each one has its effect on what a run leaves behind.

A row of `setting_changes` says how to change each setting of each config.
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

import numpy as np
import pytest
from bad_settings import MAKERS
from setting_changes import NET, TABLE, Change
from tiny_configs import BASES
from tools import forget_programs, write_enlarger, write_pictures, write_tasks

from vizlab import io, nets
from vizlab.runs import execute, experiments, plots
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import flatten, parse_tuple
from vizlab_experiments.shared import scene_training


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Arrays, figures, pictures, pages and files of a finished run."""

  arrays: dict[str, np.ndarray]
  figures: tuple[float, ...]
  pictures: frozenset[str]
  files: frozenset[str]
  pages: frozenset[str]

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
      for key in set(found) - {'seconds'}:
        value = found[key]
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
    frozenset(
      hashlib.sha256(p.read_bytes()).hexdigest()
      for p in path.glob('site/**/*.*')
    ),
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
  write_enlarger(folder / 'enlarger.safetensors')
  np.savez(
    folder / 'images.npz',
    x_test=np.arange(3 * 96 * 96 * 3).reshape(3, 96, 96, 3).astype(np.uint8),
    y_test=np.arange(3),
  )
  write_tasks(folder)
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


@pytest.mark.slow
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
      forget_programs()
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
      if row.shows == 'trained':
        _check_training(name, row, setting, tmp_path, monkeypatch)
      else:
        _check(row, run, setting)
    except (AssertionError, ValueError) as error:
      wrong.append(f'{setting}: {error}')
  assert not wrong, '\n'.join(wrong)


class _Training(Exception):
  """A training begins, with a config."""


def _check_training(name, row, setting, tmp_path, monkeypatch):
  def train(config, *parts, **settings):
    raise _Training(config)

  new = {**row.also, setting: row.value}
  with monkeypatch.context() as patch, pytest.raises(_Training) as caught:
    patch.setattr(scene_training, 'train', train)
    outcome(name, changed(base_of(name), new), tmp_path / f'of_{setting}')
  assert caught.value.args[0][setting] == row.value


def _check(row, run, setting):
  new = {**row.also, setting: row.value}
  if row.shows.startswith('config.'):
    with pytest.raises(ValueError, match=row.shows):
      run(new)
    return
  draws = row.shows == 'pictures'
  before, after = run(row.also, draws), run(new, draws)
  if row.shows in ('arrays', 'pictures', 'pages'):
    kind = 'values' if row.shows == 'arrays' else row.shows
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
    assert name in MAKERS
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
