import jax
import numpy as np
import pytest

from vizlab import nets
from vizlab.nets.architectures.transformation import (
  generator,
  texture_generator,
)
from vizlab.nets.graph import init_params


def test_each_part_of_a_description_has_layers_of_its_own():
  ops = generator({'style': 3, 'view': 2}, (6, 4), side=4, features=5)
  spec = nets.InputSpec(1, (0.0,) * 5, (1.0,) * 5)
  params = init_params(ops, spec.shape, jax.random.key(0))
  net = nets.Network('generator', ops, spec, params)
  x = jax.random.normal(jax.random.key(1), (2, 1, 1, 5))
  before, after = net(x)[1], net(x.at[..., 3:].add(1.0))[1]
  assert before['drawn'].shape == (2, 8, 8, 4)
  assert before['parts'].shape == (2, 1, 1, 10)
  np.testing.assert_array_equal(before['style2'], after['style2'])
  assert not np.allclose(before['view2'], after['view2'])
  assert not np.allclose(before['drawn'], after['drawn'])
  assert 0 <= before['drawn'].min() and before['drawn'].max() <= 1


def test_image_and_mask_may_have_decoders_of_their_own():
  ops = generator({'style': 3}, (6, 4), side=4, features=5, streams=2)
  spec = nets.InputSpec(1, (0.0,) * 3, (1.0,) * 3)
  params = init_params(ops, spec.shape, jax.random.key(0))
  net = nets.Network('generator', ops, spec, params)
  x = jax.random.normal(jax.random.key(1), (2, 1, 1, 3))
  before = net(x)[1]
  assert before['drawn'].shape == (2, 8, 8, 4)
  np.testing.assert_array_equal(before['drawn'][..., :3], before['image'])
  np.testing.assert_array_equal(before['drawn'][..., 3:], before['mask'])
  after = net(x, {'mask_conv1': lambda a: a + 1})[1]
  np.testing.assert_array_equal(before['image'], after['image'])
  assert not np.allclose(before['mask'], after['mask'])
  both = net(x, {'joined2_relu': lambda a: a + 1})[1]
  for name in ('image', 'mask'):
    assert not np.allclose(before[name], both[name])
  with pytest.raises(ValueError, match='streams: got 3, expected 1 or 2'):
    generator({'style': 3}, (6, 4), side=4, streams=3)


def test_a_generator_needs_widths():
  with pytest.raises(ValueError, match=r'widths: got \(\), expected some'):
    generator({'style': 3}, (), side=4)


def make_textures(scales, side, width=4):
  ops = texture_generator(scales, width, noise=2)
  count = 2 * scales
  spec = nets.InputSpec(side, (0.5,) * count, (12**-0.5,) * count)
  params = init_params(ops, spec.shape, jax.random.key(0))
  return nets.Network('textures', ops, spec, params)


def test_noise_of_each_resolution_has_channels_of_its_own():
  net = make_textures(3, 16)
  z = jax.random.uniform(jax.random.key(1), (2, 16, 16, 6))
  before, changed = net(z)[1], np.array(z)
  sides = [before[f'noise{i}'].shape[1] for i in (1, 2, 3)]
  assert sides == [4, 8, 16]
  widths = [before[f'join{i}_block_relu3'].shape[-1] for i in (1, 2)]
  assert widths == [8, 12]
  # The coarsest noise is at every fourth position of the first channels.
  changed[..., :2] = 0
  changed[:, ::4, ::4, :2] = z[:, ::4, ::4, :2]
  np.testing.assert_array_equal(net(changed)[1]['image'], before['image'])
  changed[:, ::4, ::4, :2] = 0
  after = net(changed)[1]
  assert not np.allclose(after['image'], before['image'], atol=1e-3)
  np.testing.assert_array_equal(after['own1_norm'], before['own1_norm'])
  assert 0 <= before['image'].min() and before['image'].max() <= 1


def test_textures_have_no_border():
  """Noise that is shifted around gives the texture shifted around."""
  net = make_textures(3, 16)
  z = jax.random.uniform(jax.random.key(1), (16, 24, 6))
  one = net(z)[1]['image']
  other = net(np.roll(z, (4, 8), (0, 1)))[1]['image']
  assert one.shape == (16, 24, 3) and one.std() > 0.01
  np.testing.assert_allclose(other, np.roll(one, (4, 8), (0, 1)), atol=1e-4)


def test_sides_are_multiples_of_the_coarsest_step():
  net = make_textures(3, 16)
  message = (
    "x: got images of a size for which the maps that 'join1' joins differ"
  )
  with pytest.raises(ValueError, match=message):
    net(np.zeros((18, 16, 6), np.float32))
  with pytest.raises(ValueError, match=message):
    net.layer_info(18)


@pytest.mark.parametrize('wrong', ['scales', 'width', 'noise'])
def test_numbers_of_textures_are_positive(wrong):
  with pytest.raises(ValueError, match=f'{wrong}: got 0, expected at least 1'):
    texture_generator(**{wrong: 0})


@pytest.mark.parametrize('noise', [0, 2])
def test_a_picture_is_read_at_each_resolution_beside_its_noise(noise):
  ops = texture_generator(3, 4, noise=noise, picture=True)
  count = 3 + 3 * noise
  spec = nets.InputSpec(16, (0.0,) * count, (1.0,) * count)
  params = init_params(ops, spec.shape, jax.random.key(0))
  net = nets.Network('painter', ops, spec, params)
  x = jax.random.uniform(jax.random.key(1), (16, 24, count))
  _, acts = net(x)
  assert acts['image'].shape == (16, 24, 3)
  photo = np.asarray(x[..., :3])
  half = photo.reshape(8, 2, 12, 2, 3).mean((1, 3))
  quarter = photo.reshape(4, 4, 6, 4, 3).mean((1, 3))
  for i, want in ((3, photo), (2, half), (1, quarter)):
    np.testing.assert_allclose(acts[f'sources{i}'][..., :3], want, atol=1e-6)
    if noise:
      first, step = 3 + (i - 1) * noise, 2 ** (3 - i)
      drawn = x[::step, ::step, first : first + noise]
      np.testing.assert_array_equal(acts[f'sources{i}'][..., 3:], drawn)
  # Its border is no other side of it.
  far = x.at[:, -1].set(1.0)
  near = acts['noise3_block_conv1'][:, 0]
  np.testing.assert_array_equal(net(far)[1]['noise3_block_conv1'][:, 0], near)


def test_noise_may_be_missing_beside_a_picture_only():
  with pytest.raises(ValueError, match='noise: got -1, expected at least 0'):
    texture_generator(noise=-1, picture=True)
