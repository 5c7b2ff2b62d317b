"""SmoothGrad and Integrated Gradients: means over many gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.attribution import (
  blurred,
  gradient,
  guided_backprop,
  integrated_gradients,
  random_baselines,
  smoothgrad,
)
from vizlab.objectives import logit, score

KEY = jax.random.key(2)


def cubes(x):
  return (x**3).sum((-3, -2, -1))


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 6, 5, 3))


@pytest.mark.parametrize('start', [0.0, 0.5, np.array([0.1, 0.2, 0.9])])
def test_integral_in_closed_form(start):
  """``5u + v^2 + sin w`` on the three colours of one pixel."""

  def fn(x):
    u, v, w = x[..., 0, 0, 0], x[..., 0, 0, 1], x[..., 0, 0, 2]
    return 5 * u + v**2 + jnp.sin(w)

  x = jnp.array([0.9, 0.3, 0.7])[None, None]
  u, v, w = np.broadcast_to(start, 3)
  expected = [
    5 * (0.9 - u),
    0.3**2 - v**2,
    np.sin(0.7) - np.sin(w),
  ]
  got = integrated_gradients(fn, x, baseline=start, steps=100)
  np.testing.assert_allclose(got[0, 0], expected, atol=1e-5)


def test_midpoints_are_exact_on_a_parabola_with_one_step(x):
  def squares(x):
    return (x**2).sum((-3, -2, -1))

  got = integrated_gradients(squares, x, steps=1)
  np.testing.assert_allclose(got, x**2, rtol=1e-6)


@pytest.mark.parametrize('kind', ['black', 'grey', 'blurred', 'random'])
def test_it_sums_to_the_difference_of_scores(kind, minivgg, images):
  images = images[:2]
  asked = score(minivgg, logit(jnp.array([2, 13])))
  baseline = {
    'black': 0.0,
    'grey': 0.5,
    'blurred': blurred(images, 4.0),
    'random': random_baselines(KEY, images, 3),
  }[kind]
  got = jax.jit(
    lambda asked, x: integrated_gradients(
      asked, x, baseline=baseline, steps=100, chunk=50
    )
  )(asked, images)
  several = baseline if kind == 'random' else [baseline]
  starts = [asked(jnp.broadcast_to(b, images.shape)) for b in several]
  expected = asked(images) - sum(starts) / len(starts)
  # The midpoint rule's error, on logits that differ by about 10.
  np.testing.assert_allclose(got.sum((1, 2, 3)), expected, atol=0.2)


def test_several_baselines_are_averaged(x):
  several = random_baselines(KEY, x, 3)
  got = integrated_gradients(cubes, x, baseline=several, steps=5, chunk=4)
  each = [integrated_gradients(cubes, x, baseline=b, steps=5) for b in several]
  np.testing.assert_allclose(got, sum(each) / 3, rtol=1e-5, atol=1e-6)


def test_random_baselines_are_the_same_for_all_images(x):
  several = random_baselines(KEY, x, 3)
  assert several.shape == (3, *x.shape)
  np.testing.assert_array_equal(several[:, 0], several[:, 2])
  assert 0 <= several.min() < 0.1 < 0.9 < several.max() <= 1


def test_blur_is_a_mean_of_neighbours_that_keeps_what_is_flat(x):
  scipy = pytest.importorskip('scipy.ndimage')
  expected = scipy.gaussian_filter(
    np.asarray(x), (0, 2.0, 2.0, 0), mode='reflect', truncate=3.0
  )
  np.testing.assert_allclose(blurred(x, 2.0), expected, atol=1e-5)
  flat = jnp.full((4, 7, 3), 0.3)
  np.testing.assert_allclose(blurred(flat, 8.0), flat, atol=1e-6)


@pytest.mark.parametrize('samples', [1, 7])
def test_no_noise_gives_the_gradient(samples, x):
  got = smoothgrad(cubes, x, KEY, samples=samples, sigma=0.0, chunk=6)
  np.testing.assert_allclose(got, 3 * x**2, rtol=1e-5)


@pytest.mark.parametrize('chunk', [1, 4, 100])
@pytest.mark.parametrize('squared', [False, True])
def test_it_is_the_mean_over_noisy_images(chunk, squared, x):
  span = np.ptp(np.asarray(x), (1, 2, 3))[:, None, None, None]
  total = 0.0
  for i in range(5):
    noise = jax.random.normal(jax.random.fold_in(KEY, i), x.shape[1:])
    g = 3 * (np.asarray(x) + 0.2 * span * np.asarray(noise)) ** 2
    total += g**2 if squared else g
  got = smoothgrad(
    cubes, x, KEY, samples=5, sigma=0.2, squared=squared, chunk=chunk
  )
  np.testing.assert_allclose(got, total / 5, rtol=1e-4)


def test_sigma_may_differ_by_image(x):
  sigma = np.array([0.0, 0.1, 0.3], np.float32)
  got = smoothgrad(cubes, x, KEY, samples=3, sigma=sigma)
  for i in range(3):
    one = smoothgrad(cubes, x[i], KEY, samples=3, sigma=float(sigma[i]))
    np.testing.assert_allclose(got[i], one, rtol=1e-5)
  with pytest.raises(ValueError, match=r'sigma: got shape \(2,\)'):
    smoothgrad(cubes, x, KEY, sigma=sigma[:2])


def test_it_smooths_any_method(minivgg, images):
  asked = score(minivgg, logit(3))
  smoothed = functools.partial(
    smoothgrad, samples=2, sigma=0.0, method=guided_backprop
  )
  x = images[:1]
  got = jax.jit(smoothed)(asked, x, KEY)
  np.testing.assert_allclose(
    got, jax.jit(guided_backprop)(asked, x), rtol=1e-4, atol=1e-6
  )
  assert not jnp.allclose(got, jax.jit(gradient)(asked, x))


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda x: smoothgrad(cubes, x, KEY, samples=0), 'samples: got 0'),
    (lambda x: smoothgrad(cubes, x, KEY, sigma=-1.0), 'sigma: got -1'),
    (lambda x: smoothgrad(cubes, x, KEY, sigma=np.nan), 'sigma: got nan'),
    (lambda x: smoothgrad(cubes, x, KEY, chunk=0), 'chunk: got 0'),
    (lambda x: integrated_gradients(cubes, x, steps=0), 'steps: got 0'),
    (
      lambda x: integrated_gradients(cubes, x, baseline=np.zeros(2)),
      r'baseline: got shape \(2,\)',
    ),
    (
      lambda x: integrated_gradients(
        cubes, x, baseline=np.zeros((0, *x.shape))
      ),
      r'baseline: got shape \(0, 3, 6, 5, 3\), expected \[N',
    ),
    (lambda x: blurred(x, 0.0), 'sigma: got 0'),
    (lambda x: random_baselines(KEY, x, 0), 'n: got 0'),
  ],
)
def test_wrong_settings_are_named(call, message, x):
  with pytest.raises(ValueError, match=message):
    call(x)
