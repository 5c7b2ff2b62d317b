import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import start, write_pictures

from vizlab import generate, io, nets, render
from vizlab.nets.architectures.transformation import (
  texture_generator,
  transformation,
)
from vizlab.nets.graph import init_params


def test_pictures_are_those_of_the_network(tmp_path):
  write_pictures(tmp_path, ['a', 'b'])
  (tmp_path / 'more').mkdir()
  write_pictures(tmp_path / 'more', ['a'])
  images = f'{tmp_path}/*.png,{tmp_path}/more,sample:crescent_and_cross'
  run = tmp_path / 'run'
  results = start('generate/stylise', run, images=images, size=40)
  assert results['pictures'] == 4 * 4  # in four styles
  net = nets.load('fast_style_paintings')
  for name, source, style in (
    ('000_a_0', tmp_path / 'a.png', [1, 0, 0, 0]),
    ('002_a_3', tmp_path / 'more' / 'a.png', [0, 0, 0, 1]),
    ('003_crescent_and_cross_2', 'sample:crescent_and_cross', [0, 0, 1, 0]),
  ):
    image = io.read_image(str(source), shorter=40)
    asked = generate.with_style(image, style)
    wanted = np.asarray(generate.transformed(net, asked))
    found = io.read_image(str(run / f'{name}.png'))
    assert np.abs(found - render.to_uint8(wanted) / 255).max() < 0.01
    assert np.abs(wanted - image).mean() > 0.05, 'it paints'


@pytest.mark.parametrize('shape', [(1, 1), (3, 60), (61, 20)])
def test_pictures_of_any_shape(shape, tmp_path):
  picture = np.full((*shape, 3), 90, np.uint8)
  io.write_png(tmp_path / 'photo.png', picture)
  start(
    'generate/stylise',
    tmp_path / 'run',
    images=str(tmp_path / 'photo.png'),
    size=16,
  )
  made = io.read_image(str(tmp_path / 'run' / '000_photo_1.png'))
  sides = sorted(made.shape[:2])
  assert sides[0] == 16
  assert abs(sides[1] - max(shape) * 16 / min(shape)) <= 1


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'net': {'weights': 'minivgg'}}, "minivgg ends with 'fc', expected"),
    ({'images': 'no.png'}, 'config.images: no such file'),
    ({'size': 15}, 'config.size: got 15, expected at least 16'),
    ({'border': -1}, 'config.border: got -1'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('generate/stylise', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


def test_a_damaged_photo_is_told_before_anything_is_written(tmp_path):
  write_pictures(tmp_path, ['a', 'b'])
  whole = (tmp_path / 'b.png').read_bytes()
  (tmp_path / 'b.png').write_bytes(whole[: len(whole) // 2])
  with pytest.raises(ValueError, match=r'config.images: .*b\.png'):
    start('generate/stylise', tmp_path / 'run', images=str(tmp_path))
  assert not (tmp_path / 'run').exists()


def two_styles(path):
  """A network of two styles, as of `generate/fast_style`, with random norms."""
  ops = transformation(4, 1, styles=2)
  spec = nets.InputSpec(32, (0.0,) * 5, (1.0,) * 3 + (255.0,) * 2, 255.0)
  params = init_params(ops, spec.shape, jax.random.key(0))
  for name, values in params.items():
    if name.endswith('_norm'):
      values['bias'] = jax.random.normal(jax.random.key(1), (2, 1)) + jnp.ones(
        values['bias'].shape
      )
  params['conv4']['bias'] += 120.0
  params['conv4']['kernel'] *= 30
  nets.save(nets.Network('fast_style', ops, spec, params), path)


def test_photos_are_painted_in_each_style_or_a_mixture(tmp_path):
  path = tmp_path / 'two.safetensors'
  two_styles(path)
  net = nets.load(path)
  image = io.read_image('sample:star_and_square', shorter=24)
  arguments = {'net': {'weights': str(path)}, 'size': 24}
  results = start(
    'generate/stylise',
    tmp_path / 'run',
    images='sample:star_and_square',
    **arguments,
  )
  assert results['pictures'] == 2
  made = [
    generate.transformed(net, generate.with_style(image, s))
    for s in np.eye(2, dtype='f')
  ]
  assert np.abs(made[0] - made[1]).max() > 0.05
  for s, wanted in enumerate(made):
    found = io.read_image(
      str(tmp_path / 'run' / f'000_star_and_square_{s}.png')
    )
    assert (
      np.abs(found - render.to_uint8(np.asarray(wanted)) / 255).max() < 0.01
    )
  half = start(
    'generate/stylise',
    tmp_path / 'half',
    images='sample:star_and_square',
    shares=(0.5, 0.25),
    **arguments,
  )
  assert half['pictures'] == 1
  wanted = generate.transformed(
    net, generate.with_style(image, np.array([0.5, 0.25], 'f'))
  )
  found = io.read_image(str(tmp_path / 'half' / '000_star_and_square.png'))
  assert np.abs(found - render.to_uint8(np.asarray(wanted)) / 255).max() < 0.01
  with pytest.raises(ValueError, match=r'config.shares: got .* above 0'):
    start('generate/stylise', tmp_path / 'no', shares=(0, 0), **arguments)
  with pytest.raises(ValueError, match=r'config.shares: got 3 .*one for each'):
    start('generate/stylise', tmp_path / 'no', shares=(1, 1, 1), **arguments)
  assert not (tmp_path / 'no').exists()


def test_networks_of_noise_are_no_painters(tmp_path):
  ops = texture_generator(3, 4)
  spec = nets.InputSpec(16, (0.5,) * 9, (0.3,) * 9)
  params = init_params(ops, spec.shape, jax.random.key(0))
  path = tmp_path / 'noise.safetensors'
  nets.save(nets.Network('texture_generator', ops, spec, params), path)
  with pytest.raises(
    ValueError, match='config.net.weights: .* reads 9 channels'
  ):
    start('generate/stylise', tmp_path / 'no', net={'weights': str(path)})
  assert not (tmp_path / 'no').exists()
