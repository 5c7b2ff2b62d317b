import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from tools import assert_same_shards, write_pictures

from vizlab import attribution, io
from vizlab.objectives import logit, score
from vizlab.runs import Recorder, devices, execute
from vizlab.runs.settings import assign
from vizlab_experiments.attribution import folder
from vizlab_experiments.configs.attribution import folder as configs
from vizlab_experiments.shared import methods

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
  """Six photos and a truncated one, so that the last of 3 batches is ragged."""
  path = tmp_path_factory.mktemp('photos')
  write_pictures(path, ['0', '1', '2', '3', 'more/4', 'more/5'])
  (path / '1b.png').write_bytes((path / '1.png').read_bytes()[:900])
  return path


def settings(path, **changes):
  config = configs.get_test_config()
  config.folder = str(path)
  defaults = {'batch_size': 3, 'classes': 2, 'half': False}
  assign(config, {**defaults, **changes})
  return config


@pytest.fixture(scope='module')
def whole(pictures, tmp_path_factory):
  """An uninterrupted run."""
  workdir = tmp_path_factory.mktemp('whole')
  return workdir, execute(folder, settings(pictures), workdir)


def shards(workdir):
  return {path.name: dict(np.load(path)) for path in workdir.glob('maps-*.npz')}


def test_shards_index_and_report(whole):
  workdir, results = whole
  assert results == {'photos': 6, 'skipped': 1, 'shards': 3}
  index = json.loads((workdir / 'index.json').read_text())
  assert index == {
    'maps-00000.npz': ['0.png', '1.png'],
    'maps-00001.npz': ['2.png', '3.png', 'more/4.png'],
    'maps-00002.npz': ['more/5.png'],
  }
  parts = shards(workdir)
  for name, names in index.items():
    part, n = parts[name], len(names)
    assert part['names'].tolist() == names
    assert part['targets'].shape == part['probabilities'].shape == (n, 2)
    assert (part['probabilities'][:, 0] >= part['probabilities'][:, 1]).all()
    for method in ('saliency', 'grad_cam'):
      assert part[method].shape == (n, 2, 96, 96)
      assert part[method].dtype == np.float32
      assert part[method].any((-2, -1)).all()
  assert parts['maps-00000.npz']['skipped'].tolist() == ['1b.png']
  page = (workdir / 'report.html').read_text()
  assert '1b.png' in page and 'truncated' in page and 'more/5.png' in page
  assert (workdir / 'photos.png').exists()


def test_maps_are_those_of_each_photo(whole, pictures, minivgg):
  part = shards(whole[0])['maps-00002.npz']
  x = io.read_image(pictures / 'more' / '5.png', shorter=110, crop=96)
  asked = score(minivgg, logit(part['targets'][0]))
  want = jax.jit(attribution.saliency)(asked, np.stack([x, x]))
  np.testing.assert_allclose(part['saliency'][0], want, atol=1e-5)


def test_a_second_run_does_nothing(whole, pictures, monkeypatch):
  monkeypatch.setattr(Recorder, 'open', lambda self: 1 / 0)
  assert execute(folder, settings(pictures), whole[0]) == whole[1]


@pytest.mark.parametrize('after', [1, 3])
def test_a_killed_run_goes_on(after, whole, pictures, tmp_path, monkeypatch):
  write, written = Recorder.arrays, []

  def killed(self, name, **arrays):
    if len(written) == after:
      raise KeyboardInterrupt
    write(self, name, **arrays)
    written.append(name)

  with monkeypatch.context() as patch:
    patch.setattr(Recorder, 'arrays', killed)
    if after == 3:  # all shards are there, and no report
      patch.setattr(Recorder, 'report', lambda *_: _stop())
    with pytest.raises(KeyboardInterrupt):
      execute(folder, settings(pictures), tmp_path)
  before = {p: p.stat().st_mtime_ns for p in tmp_path.glob('maps-*.npz')}
  assert len(before) == after and not (tmp_path / 'DONE').exists()
  assert execute(folder, settings(pictures), tmp_path) == whole[1]
  assert {p: p.stat().st_mtime_ns for p in before} == before
  assert_same_shards(tmp_path, whole[0])
  for name in ('index.json', 'photos.png', 'DONE'):
    assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes()


def _stop():
  raise KeyboardInterrupt


def test_a_folder_that_has_changed_is_refused(tmp_path):
  photos, workdir = tmp_path / 'in', tmp_path / 'run'
  write_pictures(photos, 'abcd')
  config = settings(photos)
  execute(folder, config, workdir)
  (workdir / 'DONE').unlink()
  (photos / 'd.png').unlink()
  with pytest.raises(ValueError, match='other files than .* maps-00001.npz'):
    execute(folder, config, workdir)
  write_pictures(photos, ['aa', 'd'])
  with pytest.raises(ValueError, match='other files than .* maps-00000.npz'):
    execute(folder, config, workdir)
  for name in ('b', 'd'):
    (photos / f'{name}.png').unlink()
  results = execute(folder, config, workdir, overwrite=True)
  assert results == {'photos': 3, 'skipped': 0, 'shards': 1}
  assert list(shards(workdir)) == ['maps-00000.npz']


def test_a_folder_of_damaged_files_gives_a_report(tmp_path):
  (tmp_path / 'in').mkdir()
  for name in 'abcd':
    (tmp_path / 'in' / f'{name}.jpg').write_bytes(b'damaged')
  results = execute(folder, settings(tmp_path / 'in'), tmp_path / 'run')
  assert results == {'photos': 0, 'skipped': 4, 'shards': 2}
  page = (tmp_path / 'run' / 'report.html').read_text()
  assert 'c.jpg' in page and '<img' not in page
  part = shards(tmp_path / 'run')['maps-00000.npz']
  assert part['grad_cam'].shape == (0, 2, 96, 96)
  assert part['skipped'].tolist() == ['a.jpg', 'b.jpg', 'c.jpg']


def test_half_is_used_only_where_it_holds_the_maps():
  maps = np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)
  packed = folder._packed(maps, half=True)
  assert packed.dtype == np.float16
  np.testing.assert_allclose(packed, maps, atol=2**-11)
  assert folder._packed(maps, half=False).dtype == np.float32
  assert folder._packed(0 * maps, half=True).dtype == np.float16
  for scale in (1e-6, 1e6, np.nan):
    np.testing.assert_array_equal(
      folder._packed(scale * maps, half=True), scale * maps
    )


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'folder': ''}, "config.folder: got '', expected a folder"),
    ({'folder': 'nowhere'}, 'config.folder: got nowhere .no such folder'),
    ({'methods': 'salience'}, "config.methods: got 'salience'"),
    ({'layer': 'fc'}, "config.layer: 'fc' gives no map"),
    ({'batch_size': 0}, 'batch_size: got 0, expected at least 1'),
    ({'workers': -1}, 'workers: got -1, expected 0 or more'),
    ({'classes': 0}, 'config.classes: got 0'),
    ({'shown': 0}, 'config.shown: got 0, expected 1 or more'),
  ],
)
def test_bad_settings_leave_no_work_directory(
  change, message, pictures, tmp_path
):
  config = settings(pictures, **change)
  with pytest.raises(ValueError, match=message):
    execute(folder, config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_a_shard_is_padded_with_zeros():
  batch = np.ones((2, 3), np.float32)
  padded = np.asarray(devices.shard(batch, 5))
  assert len(padded) == -(-5 // jax.local_device_count())
  np.testing.assert_array_equal(padded[:2], batch)
  assert not padded[2:].any()


def test_every_method_can_be_spread_for_several_classes(minivgg):
  net = devices.replicate(minivgg)
  x = devices.shard(np.zeros((2, 96, 96, 3), np.float32), 2)
  targets = devices.shard(np.zeros((2, 2), np.int32), 2)
  options = methods.Options('relu5_2', 48, 16, 2)
  for method in methods.METHODS.values():
    explain = methods.every_class(method, options)
    devices.on_every_device(explain).lower(net, x, targets)


# Runs a config; then the functions of the run, with an image for each device.
_ON_EIGHT = """
import json, sys
import jax, numpy as np
from ml_collections import ConfigDict
from vizlab import nets
from vizlab.runs import execute, experiments
from vizlab.runs.devices import replicate, shard
experiments.folder()
from vizlab_experiments.attribution import folder
from vizlab_experiments.shared import methods

assert jax.local_device_count() == 8
config = ConfigDict(json.loads(sys.argv[1]))
execute(folder, config, sys.argv[2])

net = nets.load('minivgg')
everywhere = replicate(net)
kernel = everywhere.params['conv1_1']['kernel'][...]
assert len(kernel.devices()) == 8 and kernel.is_fully_replicated
chosen = methods.chosen_methods(config)
options = methods.chosen_options(config, net)
images = np.random.default_rng(0).random((8, 96, 96, 3), np.float32)
classes = np.arange(16, dtype=np.int32).reshape(8, 2)
x, targets = shard(images, 3), shard(classes, 3)
_, programs = folder._programs(2, chosen, options)
for name, explain in programs.items():
  maps = explain(everywhere, x, targets)
  assert maps.shape == (8, 2, 96, 96), maps.shape
  rows = {each.device: each.index[0] for each in maps.addressable_shards}
  places = sorted((row.start, row.stop) for row in rows.values())
  assert places == [(i, i + 1) for i in range(8)], places
  alone = methods.every_class(methods.METHODS[name], options)
  np.testing.assert_allclose(
    maps, alone(net, images, classes), atol=1e-5, rtol=1e-5, err_msg=name
  )
lowered = programs['saliency'].lower(everywhere, x, targets)
program = lowered.compile().as_text()
assert 'all-gather' not in program and 'all-reduce' not in program
"""


def test_eight_devices_give_the_numbers_of_one(whole, pictures, tmp_path):
  environment = {
    **os.environ,
    'XLA_FLAGS': '--xla_force_host_platform_device_count=8',
    'JAX_PLATFORMS': 'cpu',
    'PYTHONPATH': str(ROOT),
  }
  config = json.dumps(settings(pictures).to_dict())
  done = subprocess.run(
    [sys.executable, '-c', _ON_EIGHT, config, str(tmp_path)],
    env=environment,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  one, eight = shards(whole[0]), shards(tmp_path)
  assert sorted(one) == sorted(eight)
  for name, part in one.items():
    assert part['names'].tolist() == eight[name]['names'].tolist()
    np.testing.assert_array_equal(part['targets'], eight[name]['targets'])
    for key in ('probabilities', 'saliency', 'grad_cam'):
      np.testing.assert_allclose(
        eight[name][key], part[key], atol=1e-5, rtol=1e-5, err_msg=key
      )
