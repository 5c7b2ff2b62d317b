import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from vizlab import evaluate, nets
from vizlab.image import bicubic, video_luma


def test_the_ratio_by_hand():
  a, b = jax.random.uniform(jax.random.key(0), (2, 3, 8, 9, 3))
  wanted = [
    -10 * np.log10(np.mean((x - y) ** 2))
    for x, y in zip(np.asarray(a), np.asarray(b), strict=True)
  ]
  np.testing.assert_allclose(evaluate.psnr(a, b), wanted, rtol=1e-5)
  luma = evaluate.psnr(a[..., 0], b[..., 0])
  assert luma.shape == (3,)
  assert np.isinf(evaluate.psnr(a[0], a[0]))
  with pytest.raises(ValueError, match=r'reference: got shape \(8, 9, 3\)'):
    evaluate.psnr(a, b[0])
  with pytest.raises(ValueError, match='image, reference: got uint8'):
    evaluate.psnr(np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.float32))


# Published with the usual protocol, by Dong et al. 2014 and others after them.
SET5 = {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)}


@pytest.mark.parametrize('factor', SET5)
def test_set5_has_the_published_figures(factor, assets):
  found = []
  for path in sorted((assets / 'images' / 'superres').glob('*_GT.bmp')):
    x = np.asarray(Image.open(path).convert('RGB'), np.float32) / 255
    height, width = (n - n % factor for n in x.shape[:2])
    found.append(_judged(x[:height, :width], factor))
  assert len(found) == 5
  ratio, similarity = np.mean(found, 0)
  assert abs(ratio - SET5[factor][0]) < 0.03
  assert abs(similarity - SET5[factor][1]) < 0.002


@functools.partial(jax.jit, static_argnames='factor')
def _judged(x, factor):
  height, width, _ = x.shape
  small = _bytes(bicubic(x, (height // factor, width // factor)))
  back = _bytes(bicubic(small, (height, width)))
  inside = slice(factor, -factor)
  a, b = (video_luma(v)[inside, inside] for v in (back, x))
  return evaluate.psnr(a, b), evaluate.ssim(a, b, scaled=False)


def _bytes(image):
  return jnp.round(jnp.clip(image, 0, 1) * 255) / 255


def test_luma_is_that_of_video():
  corners = jnp.array([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]])
  wanted = np.array([[16, 235, 144.553]]) / 255
  np.testing.assert_allclose(video_luma(corners), wanted, rtol=1e-6)
  with pytest.raises(ValueError, match='image: got shape'):
    video_luma(jnp.zeros((2, 2, 1)))


LAYERS = ('relu1_1', 'relu3_2')


@pytest.fixture(scope='module')
def heads():
  key = jax.random.key(0)
  return {
    layer: jax.random.uniform(jax.random.fold_in(key, i), (width,))
    for i, (layer, width) in enumerate(zip(LAYERS, (32, 96), strict=True))
  }


def test_the_distance_by_hand(heads):
  net = nets.load('minivgg')
  a, b = jax.random.uniform(jax.random.key(1), (2, 3, 24, 20, 3))
  found = jax.jit(evaluate.lpips)(net, heads, a, b)
  acts = [net(v)[1] for v in (a, b)]
  wanted = np.zeros(3)
  for layer, head in heads.items():
    f, g = (np.asarray(v[layer], np.float64) for v in acts)
    f, g = (v / (np.linalg.norm(v, axis=-1)[..., None] + 1e-10) for v in (f, g))
    wanted += ((f - g) ** 2 * np.asarray(head)).sum(-1).mean((1, 2))
  np.testing.assert_allclose(found, wanted, rtol=1e-4)
  np.testing.assert_array_equal(evaluate.lpips(net, heads, a, a), 0)
  slope = jax.grad(lambda a: evaluate.lpips(net, heads, a, b).sum())(0 * a)
  assert np.isfinite(slope).all()
  alone = evaluate.lpips(net, heads, a[0], b[0])
  np.testing.assert_allclose(alone, wanted[0], rtol=1e-4)


def test_wrong_arguments_are_named(heads):
  net = nets.load('minivgg')
  a = jnp.zeros((2, 16, 16, 3))
  with pytest.raises(ValueError, match='reference: got shape'):
    evaluate.lpips(net, heads, a, a[0])
  with pytest.raises(ValueError, match="layer: got 'relu9'"):
    evaluate.lpips(net, {'relu9': jnp.ones(3)}, a, a)
  with pytest.raises(
    ValueError, match=r"heads: got shape \(3,\) for 'relu1_1'"
  ):
    evaluate.lpips(net, {'relu1_1': jnp.ones(3)}, a, a)
