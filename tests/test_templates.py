"""Part templates: slow replicas, and slopes by finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import templates


def slow_templates(height, width, beta, tau):
  n = max(height, width)
  found = []
  for row, column in itertools.product(range(height), range(width)):
    template = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
      away = abs(i - row) + abs(j - column)
      template[i, j] = tau * max(1 - beta * away / n, -1)
    found.append(template)
  return np.stack([*found, np.full((height, width), -tau)])


def slow_terms(maps, beta, tau, totals=None):
  """``p(x|T)`` by template, map and filter, ``p(x)`` and the sums."""
  all_of = slow_templates(*maps.shape[1:3], beta, tau)
  fit = np.stack([(maps * t[None, :, :, None]).sum((1, 2)) for t in all_of])
  if totals is None:
    totals = np.exp(fit).sum(1, keepdims=True)
  given = np.exp(fit) / totals  # [T, N, C]
  return given, given.mean(0), totals


def slow_information(maps, beta, tau, totals=None):
  given, mean, _ = slow_terms(maps, beta, tau, totals)
  return (given * np.log(given / mean[None])).sum((0, 1)) / len(given)


def slopes(value, maps, step=1e-5):
  """Slope of the sum of a function by finite differences."""
  found = np.zeros_like(maps)
  for place in np.ndindex(maps.shape):
    moved = np.zeros_like(maps)
    moved[place] = step
    rise = value(maps + moved) - value(maps - moved)
    found[place] = rise.sum() / (2 * step)
  return found


@pytest.fixture(scope='module')
def maps():
  drawn = np.random.default_rng(0).normal(size=(5, 3, 4, 2))
  return np.maximum(drawn + 0.3, 0) * 3


BETA, TAU = 2.5, 0.4


def test_templates_are_those_of_the_paper():
  found = templates.templates(3, 4, beta=BETA, tau=TAU)
  wanted = slow_templates(3, 4, BETA, TAU)
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  default = templates.templates(3, 4)
  np.testing.assert_allclose(
    default, slow_templates(3, 4, 4.0, 0.5 / 12), atol=1e-6
  )


def test_masks_are_positive_parts_at_the_peaks(maps):
  found = templates.peak_mask(jnp.asarray(maps, jnp.float32), beta=BETA)
  around = np.maximum(slow_templates(3, 4, BETA, 1.0), 0)
  for n, c in np.ndindex(5, 2):
    peak = maps[n, :, :, c].argmax()
    np.testing.assert_allclose(found[n, ..., c], around[peak], atol=1e-6)
  nested = templates.peak_mask(jnp.asarray(maps[None], jnp.float32), beta=BETA)
  np.testing.assert_array_equal(nested[0], found)
  one = templates.peak_mask(jnp.asarray(maps[0], jnp.float32), beta=BETA)
  np.testing.assert_array_equal(one, found[0])


def test_information_equals_a_slow_replica(maps):
  found = templates.information(
    jnp.asarray(maps, jnp.float32), beta=BETA, tau=TAU
  )
  np.testing.assert_allclose(
    found, slow_information(maps, BETA, TAU), rtol=1e-4
  )


def test_information_is_what_it_can_be_at_most():
  """Two filters: all alike, and each map with its own place."""
  maps = np.zeros((4, 2, 2, 2), np.float32)
  for n in range(4):
    maps[n, n // 2, n % 2, 1] = 1e3
  alike, apart = templates.information(jnp.asarray(maps), beta=4.0, tau=1.0)
  assert abs(float(alike)) < 1e-6
  # Four of five templates tell of one map each; the last of none.
  np.testing.assert_allclose(apart, 0.8 * np.log(4), rtol=1e-3)


def test_slope_of_the_information_by_finite_differences(maps):
  slope = jax.grad(
    lambda maps: templates.information(maps, beta=BETA, tau=TAU).sum()
  )(jnp.asarray(maps, jnp.float32))
  wanted = slopes(lambda maps: slow_information(maps, BETA, TAU), maps)
  np.testing.assert_allclose(slope, wanted, atol=2e-6)
  # To change all maps alike changes nothing, unlike with the paper's slope.
  assert jnp.abs(slope.sum(0)).max() < 1e-6
  paper = jax.grad(
    lambda maps: templates.template_loss(maps, beta=BETA, tau=TAU).sum()
  )(jnp.asarray(maps, jnp.float32))
  assert jnp.abs(paper.sum(0)).max() > 1e-3


def test_slope_of_the_loss_is_the_papers(maps):
  """The sums ``Z`` are held; the means ``p(x)`` need not be."""
  *_, totals = slow_terms(maps, BETA, TAU)
  value, slope = jax.value_and_grad(
    lambda maps: templates.template_loss(maps, beta=BETA, tau=TAU).sum()
  )(jnp.asarray(maps, jnp.float32))
  wanted = -slopes(lambda maps: slow_information(maps, BETA, TAU, totals), maps)
  np.testing.assert_allclose(slope, wanted, atol=2e-6)
  np.testing.assert_allclose(
    value, -slow_information(maps, BETA, TAU).sum(), rtol=1e-4
  )


def test_one_template_for_each_map_is_the_papers(maps):
  given, mean, _ = slow_terms(maps, BETA, TAU)
  all_of = slow_templates(3, 4, BETA, TAU)
  present = np.random.default_rng(1).random((5, 2)) < 0.5
  assert present.any() and not present.all()
  wanted, values = np.zeros_like(maps), np.zeros(2)
  for n, c in np.ndindex(5, 2):
    t = maps[n, :, :, c].argmax() if present[n, c] else 12
    # p(T) t_ij / Z e^<x, T> (<x, T> - log Z p(x)), with p(T) = 1 / 13.
    q = given[t, n, c]
    wanted[n, :, :, c] = -all_of[t] * q * np.log(q / mean[n, c]) / 13
    values[c] -= (q * np.log(q / mean[n, c]) - q + mean[n, c]) / 13
  slope = jax.grad(
    lambda maps: templates.template_loss(
      maps, jnp.asarray(present), beta=BETA, tau=TAU
    ).sum()
  )(jnp.asarray(maps, jnp.float32))
  np.testing.assert_allclose(slope, wanted, atol=1e-6)
  loss = templates.template_loss(
    jnp.asarray(maps, jnp.float32), jnp.asarray(present), beta=BETA, tau=TAU
  )
  np.testing.assert_allclose(loss, values, atol=1e-6)


def test_fit_equals_a_slow_replica(maps):
  present = np.array([[1, 0], [0, 0], [1, 1], [0, 1], [0, 0]], bool)
  all_of = slow_templates(3, 4, BETA, 1.0)
  wanted = []
  for c in range(2):
    parts = {True: [], False: []}
    for n in range(5):
      one = maps[n, :, :, c]
      t = one.argmax() if present[n, c] else 12
      parts[bool(present[n, c])].append(((one * all_of[t]).sum(), one.sum()))
    above, below = np.sum([np.mean(v, 0) for v in parts.values()], 0)
    wanted.append(above / below)
  call = jax.jit(lambda maps, present: templates.template_fit(
    maps, present, beta=BETA
  ))  # fmt: skip
  x = jnp.asarray(maps, jnp.float32)
  found = call(x, jnp.asarray(present))
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  np.testing.assert_allclose(call(100 * x, jnp.asarray(present)), found, 1e-5)


def test_fit_of_ideal_and_of_silent_filters():
  maps = np.zeros((4, 3, 3, 4), np.float32)
  maps[:2, 1, 2, 0] = 5  # at one place, where its category is
  maps[2:, 1, 2, 1] = 5  # where it is not
  maps[..., 3] = 1  # everywhere
  present = jnp.array([[True] * 4] * 2 + [[False] * 4] * 2)
  found = templates.template_fit(jnp.asarray(maps), present)
  assert found[:3].tolist() == [1, -1, 0] and -1 < found[3] < 0
  slope = jax.grad(
    lambda maps: templates.template_fit(maps, present).sum()
  )(jnp.asarray(maps))  # fmt: skip
  assert jnp.isfinite(slope).all()


def test_fit_is_bounded_for_maps_of_both_signs():
  maps = jax.random.normal(jax.random.key(3), (6, 4, 4, 50))
  maps = maps - maps.mean((0, 1, 2))[None, None, None]
  present = jax.random.bernoulli(jax.random.key(4), 0.5, (6, 50))
  found = templates.template_fit(maps, present)
  assert jnp.abs(found).max() < 1
  as_numbers = templates.template_fit(maps, present.astype(jnp.int32))
  np.testing.assert_array_equal(found, as_numbers)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision_is_summed_in_float32(maps, dtype):
  half = jnp.asarray(maps, dtype)
  wide, present = half.astype(jnp.float32), jnp.ones((5, 2), bool)
  labels = jnp.array([0, 1, 1, 0, 2])
  for measure in (
    templates.information,
    templates.template_loss,
    lambda maps: templates.template_fit(maps, present),
    lambda maps: templates.favourite_category(maps, labels, 3),
  ):
    np.testing.assert_array_equal(measure(half), measure(wide))
  assert templates.peak_mask(half).dtype == half.dtype


def test_float64(maps):
  with jax.enable_x64(True):
    x = jnp.asarray(maps)
    assert x.dtype == jnp.float64
    present, labels = jnp.ones((5, 2), bool), jnp.array([0, 1, 1, 0, 2])
    found = templates.information(x, beta=BETA, tau=TAU)
    np.testing.assert_allclose(
      found, slow_information(maps, BETA, TAU), rtol=1e-5
    )
    assert templates.template_loss(x, present).dtype == jnp.float64
    assert templates.template_fit(x, present).dtype == jnp.float64
    assert templates.favourite_category(x, labels, 3).dtype == jnp.int32
    assert templates.templates(2, 3).dtype == jnp.float32


@pytest.mark.parametrize('seen', [True, False])
def test_a_category_that_all_or_no_images_show(maps, seen):
  present = jnp.full((5, 2), seen)
  found = templates.template_fit(jnp.asarray(maps, jnp.float32), present)
  assert jnp.isfinite(found).all()
  assert seen or found.tolist() == [-1, -1]


def test_favourite_category_equals_a_slow_replica():
  drawn = np.random.default_rng(2)
  maps = drawn.random((20, 3, 2, 6)).astype(np.float32)
  labels = drawn.integers(0, 4, 20)
  labels[labels == 2] = 3  # one without an image
  means = [
    maps[labels == k].sum((1, 2)).mean(0) if k != 2 else np.full(6, -1)
    for k in range(4)
  ]
  wanted = np.stack(means).argmax(0)
  found = templates.favourite_category(
    jnp.asarray(maps), jnp.asarray(labels), 4
  )
  np.testing.assert_array_equal(found, wanted)
  assert found.dtype == jnp.int32
  # Silent filters belong to a category that has images.
  silent = templates.favourite_category(
    jnp.zeros((2, 2, 2, 3)), jnp.array([1, 1]), 4
  )
  assert silent.tolist() == [1, 1, 1]


def test_nan_in_is_nan_out_and_only_there(maps):
  x = jnp.asarray(maps, jnp.float32).at[1, 2, 1, 0].set(jnp.nan)
  present = jnp.ones((5, 2), bool)
  for found in (
    templates.information(x),
    templates.template_loss(x),
    templates.template_fit(x, present),
  ):
    assert jnp.isnan(found).tolist() == [True, False]


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda x: templates.templates(0, 3), 'height, width: got 0 and 3'),
    (
      lambda x: templates.templates(2, 3, beta=0),
      'beta: got 0, expected a finite',
    ),
    (
      lambda x: templates.templates(2, 3, tau=-1),
      'tau: got -1, expected a fin',
    ),
    (lambda x: templates.peak_mask(x, beta=-2.0), 'beta: got -2.0, expected'),
    (lambda x: templates.peak_mask(x, beta=np.inf), 'beta: got inf, expected'),
    (lambda x: templates.information(x[0]), r'maps: got shape \(3, 4, 2\)'),
    (lambda x: templates.information(x, tau=np.nan), 'tau: got nan, expected'),
    (
      lambda x: templates.template_loss(x, jnp.ones((5, 3), bool)),
      r'present: got shape \(5, 3\), expected \(5, 2\)',
    ),
    (
      lambda x: templates.template_fit(x, jnp.ones((2, 5), bool)),
      r'present: got shape \(2, 5\), expected \(5, 2\)',
    ),
    (
      lambda x: templates.favourite_category(x, jnp.zeros(4, int), 3),
      r'labels: got shape \(4,\), expected \(5,\)',
    ),
    (
      lambda x: templates.favourite_category(x[:0], jnp.zeros(0, int), 3),
      r'maps: got shape \(0, 3, 4, 2\), expected',
    ),
  ],
)
def test_bad_input_is_named(call, message, maps):
  with pytest.raises(ValueError, match=message):
    call(jnp.asarray(maps, jnp.float32))
