import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import defaults

from vizlab import objectives, optimize, rules, style, synthesis
from vizlab.image import statistics
from vizlab.objectives import score

KEY = jax.random.key(0)
LAYERS = ('relu1', 'relu2')


@pytest.fixture
def content():
  return jax.random.uniform(KEY, (16, 20, 3))


@pytest.fixture
def painting():
  return jax.random.uniform(jax.random.key(1), (24, 18, 3)) ** 2


def test_the_total_is_the_papers_with_a_mean_content(tiny, content, painting):
  y = jax.random.uniform(jax.random.key(2), (16, 20, 3))
  loss = style.total_loss(
    tiny,
    content,
    [painting],
    content_layer='relu2',
    style_layers=LAYERS,
    alpha=0.5,
    beta=30.0,
  )
  acts, of_content, of_style = (
    {k: np.asarray(v, np.float64) for k, v in tiny(x)[1].items()}
    for x in (y, content, painting)
  )
  apart = (acts['relu2'] - of_content['relu2']) ** 2
  total = 0.5 * 0.5 * apart.sum(-1).mean()
  for layer in LAYERS:
    f, s = (a[layer].reshape(-1, a[layer].shape[-1]) for a in (acts, of_style))
    apart = ((f.T @ f / len(f) - s.T @ s / len(s)) ** 2).sum()
    total += 30.0 * 0.5 * apart / (4 * f.shape[1] ** 2)
  np.testing.assert_allclose(score(tiny, loss)(y), total, rtol=1e-4)


def test_styles_share(tiny, content, painting):
  settings = {'content_layer': 'relu2', 'style_layers': LAYERS, 'alpha': 0.0}
  other = painting[::-1] ** 2
  y = content**2

  def value(styles, **more):
    loss = style.total_loss(tiny, content, styles, **settings, **more)
    return float(score(tiny, loss)(y))

  one, two = value([painting]), value([other])
  np.testing.assert_allclose(
    value([painting, other]), (one + two) / 2, rtol=1e-5
  )
  np.testing.assert_allclose(
    value([painting, other], shares=[0.2, 0.7]),
    0.2 * one + 0.7 * two,
    rtol=1e-5,
  )


@pytest.mark.parametrize('statistic', style.STATISTICS)
def test_an_image_has_its_own_style_and_content(tiny, content, statistic):
  loss = style.total_loss(
    tiny,
    content,
    [content],
    content_layer='relu2',
    style_layers=LAYERS,
    beta=1000.0,
    statistic=statistic,
  )
  np.testing.assert_allclose(score(tiny, loss)(content), 0, atol=0.05)
  assert score(tiny, loss)(content[::-1] ** 2) > 0.5


def test_a_region_has_the_style_of_the_same_region(tiny, content, painting):
  """Pixels outside of a region do not matter to a net of 1x1 kernels."""

  def net(x, edits=None):
    return None, {'pixels': x}

  mask = jnp.stack([jnp.arange(18) < 9, jnp.arange(18) >= 9], -1)
  mask = jnp.broadcast_to(mask, (24, 18, 2)).astype(float)
  own = jnp.stack([jnp.arange(20) < 5, jnp.arange(20) >= 5], -1)
  own = jnp.broadcast_to(own, (16, 20, 2)).astype(float)
  wanted = style.masks_at(net, own, ['pixels'])
  loss = style.style_loss(net, painting, ['pixels'], mask=mask, wanted=wanted)
  got = loss(None, {'pixels': content})
  expected = 0.0
  for ours, theirs in (
    (content[:, :5], painting[:, :9]),
    (content[:, 5:], painting[:, 9:]),
  ):
    apart = jnp.square(statistics.gram(ours) - statistics.gram(theirs)).sum()
    expected += 0.5 * apart / 36
  np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_masks_of_the_image_are_resized_to_each_layer(tiny, painting):
  """Masks of a style's regions, at a layer of half the size."""
  mask = jax.random.uniform(jax.random.key(4), (24, 18, 2))
  own = jax.random.uniform(jax.random.key(5), (16, 20, 2))
  y = jax.random.uniform(jax.random.key(6), (16, 20, 3))
  loss = style.style_loss(
    tiny,
    painting,
    LAYERS,
    statistic='moments',
    weights=[0.5, 2.0],
    mask=mask,
    wanted=style.masks_at(tiny, own, LAYERS),
  )

  def found(image, masks, layer):
    a = np.asarray(tiny(image)[1][layer], np.float64)
    small = jax.image.resize(masks, (*a.shape[:2], 2), 'linear')
    weights = np.asarray(small, np.float64) / np.asarray(small).sum((0, 1))
    mean = np.einsum('hwc,hwr->rc', a, weights)
    square = np.einsum('hwc,hwr->rc', a**2, weights)
    return mean, np.sqrt(np.maximum(square - mean**2, 0) + 1e-8)

  expected = 0.0
  for weight, layer in zip((0.5, 2.0), LAYERS, strict=True):
    for ours, theirs in zip(
      found(y, own, layer), found(painting, mask, layer), strict=True
    ):
      expected += weight * np.square(ours - theirs).sum() / 2  # two regions
  np.testing.assert_allclose(score(tiny, loss)(y), expected, rtol=1e-3)


def test_weights_of_layers(tiny, content, painting):
  def value(layers, weights=None):
    loss = style.style_loss(tiny, painting, layers, weights=weights)
    return float(score(tiny, loss)(content))

  one, two = value(['relu1']), value(['relu2'])
  np.testing.assert_allclose(value(LAYERS), (one + two) / 2, rtol=1e-5)
  weighed = value(LAYERS, [0.3, 4.0])
  np.testing.assert_allclose(weighed, 0.3 * one + 4 * two, rtol=1e-5)


@pytest.mark.parametrize('statistic', style.STATISTICS)
def test_each_statistic_is_the_one_of_its_name(tiny, painting, statistic):
  y = jax.random.uniform(jax.random.key(6), (16, 20, 3))
  total = style.total_loss(
    tiny,
    y,
    [painting],
    content_layer='relu2',
    style_layers=LAYERS,
    alpha=0.0,
    beta=1.0,
    statistic=statistic,
  )
  match, measure = {
    'gram': (objectives.grams, statistics.gram),
    'moments': (objectives.moments, statistics.moments),
    'covariance': (objectives.covariances, statistics.covariance),
    'wasserstein': (objectives.wasserstein, statistics.covariance),
  }[statistic]
  acts = tiny(painting)[1]
  want = match({layer: measure(acts[layer]) for layer in LAYERS})
  np.testing.assert_allclose(
    score(tiny, total)(y), score(tiny, want)(y), rtol=1e-4
  )


def test_the_content_is_held_fixed_and_defaults_are_the_papers(tiny, content):
  loss = style.content_loss(tiny, content, 'relu2')
  a, b = (np.asarray(tiny(x)[1]['relu2']) for x in (content**2, content))
  np.testing.assert_allclose(
    score(tiny, loss)(content**2), np.square(a - b).sum() / 2, rtol=1e-4
  )
  layers = tuple(f'relu{i}_1' for i in range(1, 6))
  found = defaults(style)
  assert found['content_loss'] == {'layer': 'relu4_2'}
  rows = {
    'content_layer': 'relu4_2',
    'style_layers': layers,
    'alpha': 1.0,
    'beta': 10.0,
    'statistic': 'gram',
  }
  assert {k: found['total_loss'][k] for k in rows} == rows


def test_masks_are_means_over_what_a_place_covers(tiny):
  mask = jnp.zeros((16, 20, 2)).at[:8, :, 0].set(1).at[8:, :, 1].set(1)
  found = style.masks_at(tiny, mask, ['relu1', 'relu2'])
  assert found['relu1'].shape == (16, 20, 2)
  assert found['relu2'].shape == (8, 10, 2)
  for each in found.values():
    np.testing.assert_allclose(each.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(each.mean((0, 1)), 0.5, atol=1e-5)


def test_texture_synthesis_comes_nearer(tiny, painting):
  loss = style.style_loss(tiny, painting, LAYERS)
  end = optimize.final(
    optimize.run(
      score(tiny, -1.0 * loss),
      synthesis.pixels(jnp.full((16, 16, 3), 0.5), noise=0.1),
      KEY,
      steps=60,
      optimizer=synthesis.lbfgs(),
    )
  )
  assert -1e-3 < end.scores[-1] < 0  # at the start, -2.6


def test_losses_may_be_jitted_and_another_image_is_no_new_program(
  tiny, content, painting
):
  @jax.jit
  def make(net, x):
    return style.style_loss(net, x, LAYERS)

  value = jax.jit(lambda net, loss, x: score(net, loss)(x))
  first = value(tiny, make(tiny, painting), content)
  value(tiny, make(tiny, painting**2), content)
  assert make._cache_size() == value._cache_size() == 1
  plain = score(tiny, style.style_loss(tiny, painting, LAYERS))(content)
  np.testing.assert_allclose(first, plain, rtol=1e-4)


def test_what_does_not_fit_is_named(tiny, content, painting):
  def loss(**settings):
    return style.style_loss(tiny, painting, **{'layers': LAYERS, **settings})

  with pytest.raises(ValueError, match="layer: got 'relu9'"):
    loss(layers=['relu9'])
  with pytest.raises(ValueError, match="layer: 'fc' gives a vector"):
    loss(layers=['fc'])
  with pytest.raises(ValueError, match="statistic: got 'grams', expected one"):
    loss(statistic='grams')
  with pytest.raises(ValueError, match='layers: got none'):
    loss(layers=[])
  with pytest.raises(ValueError, match='layers: got .*expected each of them o'):
    loss(layers=['relu1', 'relu1'])
  with pytest.raises(ValueError, match='weights: got 1, expected one a layer'):
    loss(weights=[1.0])
  with pytest.raises(ValueError, match='mask, wanted: got one'):
    loss(mask=jnp.ones((24, 18, 1)))
  with pytest.raises(ValueError, match='styles: got none'):
    style.total_loss(tiny, content, [], content_layer='relu2')
  with pytest.raises(ValueError, match='shares: got 2, expected one a style'):
    style.total_loss(
      tiny,
      content,
      [painting],
      content_layer='relu2',
      style_layers=LAYERS,
      shares=[0.5, 0.5],
    )


def test_each_style_goes_where_its_mask_is(tiny, content, painting):
  other = painting[::-1] ** 2
  left = jnp.zeros((16, 20, 1)).at[:, :10].set(1)
  y = content**2

  def slope(styles, masks, **settings):
    loss = style.total_loss(
      tiny,
      content,
      styles,
      content_layer='relu2',
      style_layers=LAYERS,
      alpha=0.0,
      masks=masks,
      **settings,
    )
    return jax.grad(score(tiny, loss))(y)

  both = slope([painting, other], jnp.concatenate([left, 1 - left], -1))
  one = slope([painting], left, shares=[0.5])
  two = slope([other], 1 - left, shares=[0.5])
  np.testing.assert_allclose(both, one + two, rtol=1e-3, atol=1e-3)
  assert jnp.abs(one[:, 15:]).max() == 0 < jnp.abs(one[:, :10]).max()
  # A mask of ones is none.
  whole = slope([painting], jnp.ones((16, 20, 1)))
  np.testing.assert_allclose(
    whole, slope([painting], None), rtol=1e-3, atol=1e-3
  )
  with pytest.raises(ValueError, match=r'masks: got shape \(16, 20, 1\), exp'):
    slope([painting, other], left)


def test_the_balance_does_not_depend_on_the_size(tiny):
  """An image laid out three by three has the parts of one, but for borders."""
  content, other = jax.random.uniform(KEY, (2, 32, 32, 3))

  def parts(image, content, **weights):
    net = rules.with_rules(tiny, pool=rules.avg_pool)
    loss = style.total_loss(
      net,
      content,
      [other],
      content_layer='relu1',
      style_layers=('relu1',),
      **weights,
    )
    return float(score(net, loss)(image))

  def tile(image):
    return jnp.tile(image, (3, 3, 1))

  for weights in ({'alpha': 1.0, 'beta': 0.0}, {'alpha': 0.0, 'beta': 1.0}):
    once = parts(other**3, content, **weights)
    several = parts(tile(other**3), tile(content), **weights)
    np.testing.assert_allclose(several, once, rtol=0.15)  # nine by sums


def test_style_layers_have_weights(tiny, content, painting):
  def value(**settings):
    loss = style.total_loss(
      tiny, content, [painting], content_layer='relu2', alpha=0.0, **settings
    )
    return float(score(tiny, loss)(content**2))

  each = [value(style_layers=(layer,)) for layer in LAYERS]
  got = value(style_layers=LAYERS, style_weights=(0.3, 2.0))
  np.testing.assert_allclose(got, 0.3 * each[0] + 2.0 * each[1], rtol=1e-5)
