import json

import jax.numpy as jnp
import numpy as np
import pytest
from tools import read, start, stops_of_the_same, write_pictures

from vizlab import generate, io, nets, style
from vizlab.runs.reader import read_metrics
from vizlab_experiments.shared.painter_training import _in_turn

LAYERS = ('relu1_1', 'relu2_1')


def test_the_network_learns_to_lower_the_loss(tmp_path):
  results = start('generate/fast_style', tmp_path, steps=60, compare=20)
  rows = [row['training/loss'] for row in read_metrics(tmp_path)]
  assert rows[-1] < 0.8 * rows[0]
  record = json.loads((tmp_path / 'record.json').read_text())
  assert record['curve'][-1] == [60, rows[-1]]
  # The pixels themselves can go lower than a network of a minute.
  assert results['optimized loss'] < 1
  net = nets.load(tmp_path / 'fast_style.safetensors')
  assert nets.param_count(net) == results['parameters']
  # The share of the loss, by hand.
  seeing = nets.load('minivgg', pool='avg')
  image = io.read_image('sample:star_and_square', shorter=48)
  painting = jnp.asarray(io.read_image('sample:swirls', shorter=48))
  scales = read(tmp_path, 'scales')
  weights = 1 / (2 * scales['style'][0])
  losses = [
    generate.perceptual_loss(
      seeing,
      made[None],
      image[None],
      style.style_loss(seeing, painting, LAYERS, weights=list(weights)),
      content_layer='relu2_1',
      alpha=float(1 / scales['content']),
      beta=10.0,
    )[0]
    for made in (generate.transformed(net, image), jnp.asarray(image))
  ]
  # The file holds half of the digits.
  assert abs(results['loss'] - float(losses[0] / losses[1])) < 0.02


def test_squares_are_cut_from_photos(tmp_path):
  write_pictures(tmp_path, ['a', 'b'])
  run = tmp_path / 'run'
  start('generate/fast_style', run, photos=str(tmp_path / '*.png'))
  other = tmp_path / 'scenes'
  start('generate/fast_style', other)
  one, two = (read(path, 'training') for path in (run, other))
  key = 'result/params/conv1/kernel'
  assert not np.array_equal(one[key], two[key])


def test_a_stopped_one_ends_the_same(tmp_path, monkeypatch):
  stops = stops_of_the_same(
    'generate/fast_style',
    tmp_path,
    monkeypatch,
    weights='fast_style.safetensors',
  )
  assert stops > 1


@pytest.mark.parametrize(
  'settings',
  [
    {},
    {'upsampling': 'transposed'},
    {'norm': 'batch'},
    {'form': 'pyramid', 'scales': 3},
  ],
  ids=str,
)
def test_untrained_networks_paint_in_grey(settings, tmp_path):
  start('generate/fast_style', tmp_path, steps=1, **settings)
  net = nets.load(tmp_path / 'fast_style.safetensors')
  made = generate.transformed(net, jnp.full((32, 32, 3), 0.2))
  assert 0.2 < float(made.mean()) < 0.8


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'size': 34}, 'config.size: got 34, .* multiple of 4'),
    ({'shown_size': 12}, 'config.shown_size: got 12, expected at least'),
    ({'style_size': 1}, 'config.style_size: got 1, expected at least'),
    ({'style_layers': 'fc'}, "config.style_layers: 'fc' gives a vector"),
    ({'upsampling': 'bilinear'}, "config.upsampling: got 'bilinear'"),
    ({'norm': 'layer'}, "config.norm: got 'layer'"),
    ({'form': 'square'}, "config.form: got 'square'"),
    (
      {'form': 'pyramid', 'styles': 'sample:swirls,sample:swirls'},
      "config.form: got 'pyramid' with 2 styles, expected 'residual'",
    ),
    (
      {'form': 'pyramid', 'norm': 'batch'},
      "config.norm: got 'batch' with a pyramid, expected 'instance'",
    ),
    (
      {'form': 'pyramid', 'upsampling': 'transposed'},
      "config.upsampling: got 'transposed' with a pyramid, expected 'resize'",
    ),
    (
      {'form': 'pyramid', 'size': 40},
      'config.size: got 40, expected at least 32 and a multiple of 16',
    ),
    ({'scales': 0}, 'config.scales: got 0'),
    (
      {'norm': 'batch', 'upsampling': 'transposed'},
      "config.norm: got 'batch' with transposed",
    ),
    ({'content_layer': 'relu9'}, "config.content_layer: got 'relu9'"),
    ({'style_layers': 'relu9'}, "config.style_layers: got 'relu9'"),
    ({'styles': 'no.png'}, 'config.styles: no such file'),
    (
      {'norm': 'batch', 'styles': 'sample:swirls,sample:star_and_square'},
      "config.norm: got 'batch' with 2 styles",
    ),
    ({'photos': 'no.png'}, 'config.photos: no such file'),
    ({'width': 0}, 'config.width: got 0'),
    ({'beta': 0.0}, 'config.beta: got 0.0'),
    ({'learning_rate': float('nan')}, 'config.learning_rate: got nan'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('generate/fast_style', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


def test_one_network_paints_in_several_styles(tmp_path):
  styles = ('sample:swirls', 'sample:crescent_and_cross', 'sample:swirls')
  results = start(
    'generate/fast_style', tmp_path, styles=styles, steps=7, compare=0
  )
  net = nets.load(tmp_path / 'fast_style.safetensors')
  assert nets.param_count(net) == results['parameters']
  image = io.read_image('sample:star_and_square', shorter=48)
  made = [
    generate.transformed(net, generate.with_style(image, share))
    for share in np.eye(3, dtype=np.float32)
  ]
  for s, picture in enumerate(made):
    found = read(tmp_path, f'painted_{s}_0')['image']
    np.testing.assert_allclose(found, picture, atol=0.02)  # half precision
  # The loss of each by its own painting, by hand.
  seeing = nets.load('minivgg', pool='avg')
  scales = read(tmp_path, 'scales')
  assert scales['style'].shape == (3, 2)
  ratios = []
  for picture, style_scale, path in zip(
    made, scales['style'], styles, strict=True
  ):
    painting = jnp.asarray(io.read_image(path, shorter=48))
    wanted = style.style_loss(
      seeing, painting, LAYERS, weights=list(1 / (2 * style_scale))
    )
    one, other = (
      generate.perceptual_loss(
        seeing,
        jnp.asarray(x)[None],
        image[None],
        wanted,
        content_layer='relu2_1',
        alpha=float(1 / scales['content']),
        beta=10.0,
      )[0]
      for x in (picture, image)
    )
    ratios.append(one / other)
  assert abs(results['loss'] - float(np.mean(ratios))) < 0.02
  # Those between two styles begin with one and end with the other.
  between = read(tmp_path, 'between_0')['images']
  for picture, s in ((between[0], 0), (between[-1], 1)):
    found = read(tmp_path, f'painted_{s}_0')['image']
    np.testing.assert_allclose(picture, found, atol=1e-5)
  assert np.abs(between[2] - between[0]).max() > 1e-3
  assert read(tmp_path, 'between_1')['images'].shape == between.shape
  # All were trained, each with its own scale.
  scale = nets.get_params(net)['conv2_norm']['scale']
  assert scale.shape == (3, 8)
  assert min(np.abs(scale[i] - scale[i - 1]).max() for i in range(3)) > 1e-3


def test_a_pyramid_learns_and_paints_any_photo(tmp_path):
  results = start(
    'generate/fast_style', tmp_path, form='pyramid', scales=4, steps=60,
    learning_rate=0.01,
  )  # fmt: skip
  rows = [row['training/loss'] for row in read_metrics(tmp_path)]
  assert rows[-1] < 0.8 * rows[0]
  net = nets.load(tmp_path / 'fast_style.safetensors')
  assert nets.param_count(net) == results['parameters']
  image = io.read_image('sample:star_and_square', shorter=48)
  wanted = generate.transformed(net, image, multiple=8)
  found = read(tmp_path, 'painted_0_0')['image']
  np.testing.assert_allclose(found, wanted, atol=0.02)  # half precision
  start(
    'generate/stylise',
    tmp_path / 'run',
    net={'weights': str(tmp_path / 'fast_style.safetensors')},
    images='sample:star_and_square',
    size=45,
  )
  assert io.read_image(
    str(tmp_path / 'run' / '000_star_and_square.png')
  ).shape == (45, 45, 3)


def test_styles_take_turns():
  shown = np.concatenate([_in_turn(step, 4, 3) for step in range(6)])
  np.testing.assert_array_equal(shown, np.tile(np.eye(3), (8, 1)))
