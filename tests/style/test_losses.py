import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import optimize, stats, style, synthesis
from vizlab.objectives import score

KEY = jax.random.key(0)
LAYERS = ('relu1', 'relu2')


@pytest.fixture
def content():
  return jax.random.uniform(KEY, (16, 20, 3))


@pytest.fixture
def painting():
  return jax.random.uniform(jax.random.key(1), (24, 18, 3)) ** 2


def test_the_total_is_the_papers(tiny, content, painting):
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
  total = 0.5 * 0.5 * ((acts['relu2'] - of_content['relu2']) ** 2).sum()
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
    statistic=statistic,
  )
  np.testing.assert_allclose(score(tiny, loss)(content), 0, atol=0.05)
  assert score(tiny, loss)(content[::-1] ** 2) > 0.5


def test_a_region_has_the_style_of_the_same_region(tiny, content, painting):
  """Of a net of 1x1 places: what is outside of a region does not matter."""

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
    apart = jnp.square(stats.gram(ours) - stats.gram(theirs)).sum()
    expected += 0.5 * apart / 36
  np.testing.assert_allclose(got, expected, rtol=1e-4)


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
      rule=synthesis.lbfgs(),
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
