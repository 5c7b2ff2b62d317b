"""The experiments that make images: killed, resumed, and given bad settings."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import start

from configs import visualize as config_of_visualize
from experiments import making
from experiments.common import Recorder
from vizlab import io, optimize, penalties, synthesis
from vizlab.objectives import channel, score

SHAPE = (2, 8, 8, 3)
BAD = [
  ('visualize', {'layers': 'relu9'}, "layer: got 'relu9'"),
  ('visualize', {'layers': ''}, 'config.layers: got none'),
  ('visualize', {'channels': '3,x'}, "config.channels: got '3,x'"),
  (
    'visualize',
    {'channels': '99'},
    'config.channels: got 99, expected 0 to 63',
  ),
  ('visualize', {'image': 'furrier'}, "config.image: got 'furrier', expected"),
  ('visualize', {'steps': 0}, 'config.steps: got 0'),
  (
    'visualize',
    {'objective': 'logits'},
    "config.objective: got 'logits', expected one of",
  ),
  (
    'visualize',
    {'objective': 'probability'},
    "config.layers: got 'relu2_1', expected 'fc'",
  ),
  ('visualize', {'batch': -1}, 'config.batch: got -1'),
  ('priors', {'families': 'l3'}, "config.families: got 'l3'"),
  ('priors', {'layer': 'relu9'}, "layer: got 'relu9'"),
  ('invert', {'images': ''}, 'config.images'),
  ('invert', {'optimizer': 'sgd'}, "config.optimizer: got 'sgd'"),
  ('invert', {'tv': (0.1, -1.0)}, 'config.tv: got'),
  ('invert', {'images': 'no.png'}, 'image: no such file: no.png'),
  ('dream', {'layers': 'relu9'}, "layer: got 'relu9'"),
  ('dream', {'channels': 'x'}, "config.channels: got 'x'"),
  ('dream', {'channels': '99'}, 'config.channels: got 99, expected 0 to 63'),
  ('dream', {'channels': ','}, "config.channels: got ','"),
  ('dream', {'tile': -1}, 'config.tile: got -1'),
  ('dream', {'zoom': 1.0}, 'config.zoom: got 1.0'),
  ('dream', {'rate': -0.1}, 'config.rate: got -0.1, expected more than 0'),
  ('dream', {'jitter': -1}, 'config.jitter: got -1'),
  ('dream', {'guides': 0}, 'config.guides: got 0'),
  ('dream', {'image': ''}, "image: got '', expected a file"),
  ('visualize', {'size': 1}, 'got'),
  ('visualize', {'learning_rate': -1.0}, 'config.learning_rate: got -1.0'),
  ('priors', {'families': ''}, 'config.families: got none'),
  ('priors', {'size': 1}, 'got'),
  ('priors', {'sigma': -1.0}, 'config.sigma: got -1.0'),
  ('invert', {'size': 1}, 'got'),
  ('invert', {'layers': 'sift', 'size': 24}, 'of at least 32 pixels'),
  ('mixtures', {'channels': '3'}, "config.channels: got '3', expected two"),
  ('mixtures', {'channels': '3,3'}, 'expected two different'),
  ('mixtures', {'channels': ''}, "config.channels: got '', expected two"),
  ('mixtures', {'layer': 'fc', 'compare': ''}, "'fc' gives a vector"),
  ('dream', {'tile': 3}, 'config.tile: got 3'),
  ('dream', {'octaves': 0}, 'config.octaves: got 0'),
  ('priors', {'share': 2.0}, 'config.share: got 2.0'),
  ('invert', {'layers': ''}, 'config.layers: got none'),
  ('invert', {'tv': ()}, 'config.tv: got none'),
  (
    'visualize',
    {'objective': 'layer', 'channels': '5'},
    'config.channels: got',
  ),
  ('mixtures', {'count': 1}, 'config.count: got 1'),
  ('mixtures', {'size': 1}, 'got'),
  ('multifaceted', {'channel': 64}, 'config.channel: got 64'),
  ('multifaceted', {'facets': 12}, 'config.top, config.facets: got 12, 12'),
  ('multifaceted', {'size': 1}, 'got'),
  ('dream', {'scale': 1.0}, 'config.scale: got 1.0'),
  (
    'fool',
    {'targets': (16,)},
    r'config.targets: got \(16,\), expected classes',
  ),
  ('style_transfer', {'styles': ''}, 'config.styles: got none'),
  ('style_transfer', {'styles': 'no.png'}, 'image: no such file: no.png'),
  ('style_transfer', {'content': ''}, "image: got '', expected a file"),
  ('style_transfer', {'content_layer': 'relu9'}, "layer: got 'relu9'"),
  ('style_transfer', {'style_layers': 'fc'}, "layer: 'fc' gives a vector"),
  ('style_transfer', {'style_layers': ''}, 'layers: got none'),
  ('style_transfer', {'alpha': 0.0, 'beta': 0.0}, 'config.alpha, config.beta'),
  ('style_transfer', {'beta': -1.0}, 'config.beta: got -1.0'),
  ('style_transfer', {'shares': (0.5, 0.5)}, 'config.shares: got 2'),
  ('style_transfer', {'statistic': 'gramm'}, "config.statistic: got 'gramm'"),
  ('style_transfer', {'colours': 'grey'}, "config.colours: got 'grey'"),
  ('style_transfer', {'style_scale': 0.0}, 'config.style_scale: got 0.0'),
  ('style_transfer', {'octaves': 3}, 'config.size, config.octaves: got 48, 3'),
  ('texture', {'layers': ''}, 'config.layers: got none'),
  ('texture', {'images': ''}, 'config.images: got none'),
  ('texture', {'layers': 'relu9'}, "layer: got 'relu9'"),
  ('texture', {'size': 16}, 'config.size, config.octaves: got 16, 2'),
  ('texture', {'optimizer': 'sgd'}, "config.optimizer: got 'sgd'"),
  ('doodle', {'layers': ''}, 'layers: got none'),
  ('doodle', {'style': 'sample:star_and_square'}, "image: got '', expected"),
  ('fool', {'images': ''}, 'config.images: got none'),
  ('fool', {'other': 'no.safetensors'}, 'no such file'),
]


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


def test_ctrl_c_keeps_all_chunks(recorder, monkeypatch):
  whole = grow(recorder)
  (recorder.workdir / 'grown.npz').unlink()
  run, chunks = optimize.run, []

  def interrupted(*args, **settings):
    for progress in run(*args, **settings):
      chunks.append(progress.step)
      yield progress
      if len(chunks) == 3:  # while the next chunk is computed
        raise KeyboardInterrupt

  monkeypatch.setattr(optimize, 'run', interrupted)
  with pytest.raises(KeyboardInterrupt):
    grow(recorder)
  again = grow(recorder)
  assert chunks == [2, 4, 6, 8, 10, 12], 'no step is taken twice'
  np.testing.assert_array_equal(again.images, whole.images)
  np.testing.assert_array_equal(again.scores, whole.scores)


def test_names_with_slashes_are_flat_files(recorder):
  made = making.make(
    recorder,
    'fire2/concat_0',
    lambda x: x.sum((1, 2, 3)),
    synthesis.pixels(jnp.zeros(SHAPE)),
    jax.random.key(0),
    steps=1,
  )
  assert (recorder.workdir / 'fire2_concat_0.npz').is_file()
  assert not [p for p in recorder.workdir.iterdir() if p.is_dir()]
  assert made.images.shape == SHAPE


def test_a_batch_chosen_by_memory_is_kept(tmp_path, monkeypatch):
  settings = {'batch': 0, 'negative': False, 'examples': False}
  make, free = making.make, making._free_bytes
  visualize = importlib.import_module('experiments.visualize')

  def killed(*args, **settings):
    raise KeyboardInterrupt

  monkeypatch.setattr(visualize, 'make', killed)
  with pytest.raises(KeyboardInterrupt):
    start('visualize', tmp_path / 'run', **settings)
  monkeypatch.setattr(visualize, 'make', make)
  monkeypatch.setattr(making, '_free_bytes', lambda: 0)
  start('visualize', tmp_path / 'run', **settings)
  assert (tmp_path / 'run' / 'relu2_1_0.npz').exists()
  assert not (tmp_path / 'run' / 'relu2_1_1.npz').exists(), 'two at once'
  assert free() > 0


def test_what_is_made_is_not_made_again(recorder, monkeypatch):
  first = grow(recorder)
  monkeypatch.setattr(optimize, 'run', None)
  np.testing.assert_array_equal(grow(recorder).images, first.images)


def test_patience_stops_what_does_not_rise(recorder):
  made = grow(recorder, steps=400, patience=1e-3)
  assert len(made.scores) < 400
  rest = made.scores[-2:].mean() - made.scores[-4:-2].mean()
  assert rest < 2e-3 * made.scores[-1].mean()


@pytest.mark.parametrize('after', [1, 4])
def test_patience_stops_a_resumed_run_where_it_stops_another(
  after, recorder, monkeypatch
):
  whole = grow(recorder, steps=400, patience=1e-2)
  (recorder.workdir / 'grown.npz').unlink()
  monkeypatch.setattr(making, '_EVERY', 0.0)
  run, count = optimize.run, []

  def killing(*args, **settings):
    for progress in run(*args, **settings):
      count.append(progress.step)
      if len(count) == after + 1:
        raise KeyboardInterrupt
      yield progress

  monkeypatch.setattr(optimize, 'run', killing)
  with pytest.raises(KeyboardInterrupt):
    grow(recorder, steps=400, patience=1e-2)
  again = grow(recorder, steps=400, patience=1e-2)
  np.testing.assert_array_equal(again.scores, whole.scores)
  np.testing.assert_array_equal(again.images, whole.images)


def test_one_image_that_is_not_finite_spares_the_others(recorder, capsys):
  def wish(x):
    y = jnp.sin(7 * x).sum((1, 2, 3))
    return jnp.where((jnp.arange(2) == 1) & (y > -60.0), jnp.nan, y)

  made = grow(recorder, wish=wish)
  assert made.failed[0] == -1 and made.failed[1] > 0
  first, last = made.ends
  assert np.isfinite(last).all() and last[0] == made.scores[-1, 0]
  assert last[1] == made.scores[made.failed[1] - 1, 1]
  assert 'grown: image 1 was not finite at step' in capsys.readouterr().out


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
  assert found['after/relu2_1'] > found['before/relu2_1']


@pytest.mark.parametrize(
  'changes',
  [
    {'start': 'noise', 'statistic': 'moments'},
    {'start': 'style', 'colours': 'matched', 'optimizer': 'adam'},
    {'statistic': 'covariance', 'tv': 0.1, 'style_scale': 0.5},
    {
      'styles': 'sample:crescent_and_cross,sample:star_and_square',
      'shares': (0.8, 0.2),
      'statistic': 'wasserstein',
    },
  ],
  ids=str,
)
def test_every_kind_of_transfer_falls(changes, tmp_path):
  start('style_transfer', tmp_path / 'run', octaves=1, steps=12, **changes)
  with np.load(tmp_path / 'run' / 'transfer_48x48.npz') as made:
    assert made['scores'][-1] > made['scores'][0]
    assert made['failed'] < 0 and made['images'].std() > 0.02


def test_luminance_alone_keeps_the_colours_of_the_content(tmp_path):
  start('style_transfer', tmp_path / 'run', colours='luminance', octaves=1)
  made = io.read_image(tmp_path / 'run' / 'transfer.png')
  content = io.read_image('sample:star_and_square', shorter=48)
  apart = (made - content) - (made - content).mean(-1, keepdims=True)
  inside = (made > 0.02).all(-1) & (made < 0.98).all(-1)
  assert np.abs(apart[inside]).max() < 0.02, 'only grey is added'
  assert np.abs(made - content).mean() > 1e-3


@pytest.fixture
def masks(tmp_path):
  """A painting of two colours, its mask, and another one, with soft edges."""
  mask = np.zeros((40, 48, 3), np.uint8)
  mask[:, :24] = 255, 0, 0
  mask[:, 24:] = 0, 0, 255
  mask[:5, 24:25] = 127, 0, 128
  turned = np.where(mask[:, ::-1] == 255, np.uint8(250), mask[:, ::-1])
  image = np.where(mask[..., :1] > 0, 200, 60) + 0 * mask
  return {
    name: str(io.write_png(tmp_path / f'{name}.png', picture.astype(np.uint8)))
    for name, picture in (
      ('style', image),
      ('style_mask', mask),
      ('target_mask', turned),
    )
  }


def test_a_doodle_has_each_region_where_it_is_wanted(masks, tmp_path):
  found = start(
    'doodle', tmp_path / 'run', size=40, octaves=1, steps=80, **masks
  )
  assert found['regions'] == 2 and found['end'] < 0.1 * found['start']
  made = io.read_image(tmp_path / 'run' / 'doodle.png')
  left, right = made[:, 4:18].mean(), made[:, 30:44].mean()
  assert right - left > 0.2, 'bright was left, and is right now'


def test_masks_that_do_not_fit_are_named(masks, tmp_path):
  green = np.zeros((40, 48, 3), np.uint8) + np.uint8([0, 255, 0])
  path = str(io.write_png(tmp_path / 'green.png', green))
  with pytest.raises(ValueError, match='target_mask: got the colour #00ff00'):
    start('doodle', tmp_path / 'run', **{**masks, 'target_mask': path})
  small = str(io.write_png(tmp_path / 'small.png', green[:20]))
  with pytest.raises(ValueError, match=r'style_mask: got \(20, 48\) pixels'):
    start('doodle', tmp_path / 'run', **{**masks, 'style_mask': small})
  assert not (tmp_path / 'run').exists()


def test_fooling_comes_with_its_curve(tmp_path):
  found = start('fool', tmp_path / 'run', steps=60, other='', targets=(9, 3))
  assert found['fooled'] == 1
  with np.load(tmp_path / 'run' / 'fooled.npz') as made:
    assert made['curve'].shape == (len(made['step']), 2)
    assert (made['curve'][-1] > 0.5).all() and (made['curve'][0] < 0.5).all()


@pytest.mark.parametrize(
  ('objective', 'layers', 'images'),
  [
    ('neuron', 'relu2_1', 2),
    ('layer', 'relu2_1,fc', 2),
    ('probability', 'fc', 2),
  ],
)
def test_every_objective_rises(objective, layers, images, tmp_path):
  found = start(
    'visualize',
    tmp_path / 'run',
    objective=objective,
    layers=layers,
    steps=8,
    examples=False,
  )
  assert found['images'] == found['risen'] == images
  rows = 2 * len(layers.split(','))  # each of them once more, negative
  assert len(list((tmp_path / 'run').glob('*.npz'))) == rows


def test_as_many_images_as_fit(tiny, monkeypatch):
  wish = score(tiny, channel('relu2', 1))
  image = synthesis.pixels(jnp.zeros((1, 32, 32, 3)))
  assert making.fitting(wish, image, 5) == 5, 'there is memory for these'
  monkeypatch.setattr(making, '_free_bytes', lambda: 0)
  assert making.fitting(wish, image, 5) == 1
  # Half of a mebibyte holds many small images and fewer large ones.
  monkeypatch.setattr(making, '_free_bytes', lambda: 2**20)
  larger = synthesis.pixels(jnp.zeros((1, 64, 64, 3)))
  counts = [making.fitting(wish, each, 1000) for each in (image, larger)]
  assert 1 < 2 * counts[1] < counts[0] < 1000, counts


def test_inversion_of_a_photo_of_another_shape(tmp_path):
  grey = np.random.default_rng(0).integers(0, 255, (50, 70), np.uint8)
  path = io.write_png(tmp_path / 'grey.png', grey)
  found = start(
    'invert', tmp_path / 'run', images=str(path), steps=20, layers='relu2_1'
  )
  assert all(0 < value < 100 for value in found.values())
