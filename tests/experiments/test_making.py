"""The experiments that make images: killed, resumed, and given bad settings."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import visualize as config_of_visualize
from experiments import making
from experiments.common import Recorder
from vizlab import io, optimize, penalties, synthesis

SHAPE = (2, 8, 8, 3)
BAD = [
  ('visualize', {'layers': 'relu9'}, "layer: got 'relu9'"),
  ('visualize', {'layers': ''}, 'config.layers: got none'),
  ('visualize', {'channels': '3,x'}, "config.channels: got '3,x'"),
  ('visualize', {'channels': '99'}, 'config.channels: got 99 for relu2_1'),
  ('visualize', {'image': 'furrier'}, "config.image: got 'furrier', expected"),
  ('visualize', {'steps': 0}, 'config.steps: got 0'),
  ('priors', {'families': 'l3'}, "config.families: got 'l3'"),
  ('priors', {'layer': 'relu9'}, "layer: got 'relu9'"),
  ('invert', {'images': ''}, 'config.images'),
  ('invert', {'optimizer': 'sgd'}, "config.optimizer: got 'sgd'"),
  ('invert', {'tv': (0.1, -1.0)}, 'config.tv: got'),
  ('invert', {'images': 'no.png'}, 'image: no such file: no.png'),
  ('dream', {'layers': 'relu9'}, "layer: got 'relu9'"),
  ('dream', {'channels': 'x'}, "config.channels: got 'x'"),
  ('dream', {'channels': '99'}, 'channel: got 99, expected 0 to 63'),
  ('dream', {'tile': -1}, 'config.frames, config.tile: got'),
  ('dream', {'scale': 1.0}, 'octaves, scale: got'),
  (
    'fool',
    {'targets': (16,)},
    r'config.targets: got \(16,\), expected classes',
  ),
  ('fool', {'images': ''}, 'config.images: got none'),
  ('fool', {'other': 'no.safetensors'}, 'no such file'),
]


def start(name, workdir, **changes):
  config = importlib.import_module(f'configs.{name}').get_test_config()
  config.update(changes)
  run = importlib.import_module(f'experiments.{name}').run
  return run(config, workdir)


@pytest.mark.parametrize(('name', 'change', 'message'), BAD)
def test_bad_settings_leave_no_work_directory(name, change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start(name, tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


@pytest.fixture
def recorder(tmp_path):
  recorder = Recorder(tmp_path / 'run', config_of_visualize.get_test_config())
  recorder.open()
  return recorder


def grow(recorder, steps=12, wish=None, **settings):
  """Images of which each step depends on all before it, and on chance."""
  return making.make(
    recorder,
    'grown',
    wish or (lambda x: jnp.sin(7 * x).sum((1, 2, 3))),
    synthesis.fourier(SHAPE),
    jax.random.key(0),
    steps=steps,
    chunk=2,
    penalty=0.01 * penalties.tv(2.0),
    augment=synthesis.jitter(2),
    **settings,
  )


@pytest.mark.parametrize('after', [1, 3, 5])
def test_a_killed_run_ends_as_an_undisturbed_one(after, recorder, monkeypatch):
  whole = grow(recorder)
  (recorder.workdir / 'grown.npz').unlink()
  monkeypatch.setattr(making, '_EVERY', 0.0)
  run, chunks = optimize.run, []

  def killing(*args, **settings):
    for progress in run(*args, **settings):
      chunks.append(progress.step)
      if len(chunks) == after + 1:
        raise KeyboardInterrupt
      yield progress

  monkeypatch.setattr(optimize, 'run', killing)
  with pytest.raises(KeyboardInterrupt):
    grow(recorder)
  assert not (recorder.workdir / 'grown.npz').exists()
  again = grow(recorder)
  assert chunks[after + 1] == 2 * after + 2, 'it goes on where it was'
  for name, value in whole._asdict().items():
    np.testing.assert_array_equal(getattr(again, name), value)
  assert again.scores.shape == (12, 2)
  assert not list((recorder.workdir / 'checkpoints').glob('*'))


def test_what_is_made_is_not_made_again(recorder, monkeypatch):
  first = grow(recorder)
  monkeypatch.setattr(optimize, 'run', None)
  np.testing.assert_array_equal(grow(recorder).images, first.images)


def test_patience_stops_what_does_not_rise(recorder):
  made = grow(recorder, steps=400, patience=1e-3)
  assert len(made.scores) < 400
  rest = made.scores[-2:].mean() - made.scores[-4:-2].mean()
  assert rest < 2e-3 * made.scores[-1].mean()


def test_a_score_that_is_not_finite_is_named_with_its_step(recorder):
  with pytest.raises(ValueError, match='grown: its score was not finite at st'):
    grow(recorder, wish=lambda x: jnp.log(x - 2).sum((1, 2, 3)))
  with np.load(recorder.workdir / 'grown.npz') as kept:
    assert np.isfinite(kept['images']).all()


def test_a_dream_goes_on_with_the_next_frame(tmp_path, monkeypatch):
  whole = start('dream', tmp_path / 'whole')
  gif = (tmp_path / 'whole' / 'zoom.gif').read_bytes()
  module = importlib.import_module('experiments.dream')
  dream, asked = module._dream, []

  def killing(*args):
    asked.append(args[-1])
    if len(asked) == 3:
      raise KeyboardInterrupt
    return dream(*args)

  monkeypatch.setattr(module, '_dream', killing)
  with pytest.raises(KeyboardInterrupt):
    start('dream', tmp_path / 'killed')
  assert start('dream', tmp_path / 'killed') == whole
  assert asked == [0, 1, 2, 2], 'what was dreamed is not dreamed again'
  assert (tmp_path / 'killed' / 'zoom.gif').read_bytes() == gif


@pytest.mark.parametrize(
  'changes',
  [
    {'image': 'noise'},
    {'channels': '3,5'},
    {'guide': 'sample:crescent_and_cross'},
    {'tile': 32},
  ],
  ids=str,
)
def test_every_kind_of_dream_rises(changes, tmp_path):
  found = start('dream', tmp_path / 'run', frames=0, steps=4, **changes)
  assert found['rise/relu2_1'] > 1


def test_fooling_comes_with_its_curve(tmp_path):
  found = start('fool', tmp_path / 'run', steps=60, other='', targets=(9, 3))
  assert found['fooled'] == 1
  with np.load(tmp_path / 'run' / 'fooled.npz') as made:
    assert made['curve'].shape == (len(made['step']), 2)
    assert (made['curve'][-1] > 0.5).all() and (made['curve'][0] < 0.5).all()


def test_inversion_of_a_photo_of_another_shape(tmp_path):
  grey = np.random.default_rng(0).integers(0, 255, (50, 70), np.uint8)
  path = io.write_png(tmp_path / 'grey.png', grey)
  found = start('invert', tmp_path / 'run', images=str(path), steps=20)
  assert all(0 < value < 100 for value in found.values())
