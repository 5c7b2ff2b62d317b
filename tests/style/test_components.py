import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import style
from vizlab.objectives import score


@pytest.fixture
def painting():
  return jax.random.uniform(jax.random.key(1), (24, 18, 3)) ** 2


def test_they_are_the_directions_in_which_a_map_varies_most(tiny, painting):
  net = style.principal(tiny, painting, ['relu2'], 3)
  got = np.asarray(net(painting)[1]['relu2']).reshape(-1, 3)
  a = np.asarray(tiny(painting)[1]['relu2']).reshape(-1, 12)
  _, sizes, axes = np.linalg.svd(a - a.mean(0))
  np.testing.assert_allclose(got.var(0), sizes[:3] ** 2 / len(a), rtol=1e-3)
  # Each up to its sign.
  cosine = np.abs(np.corrcoef(np.concatenate([got, a @ axes[:3].T], 1).T))
  np.testing.assert_allclose(np.diag(cosine[:3, 3:]), 1, atol=1e-3)


def test_all_of_them_give_the_loss_of_all_channels(tiny, painting):
  other = jax.random.uniform(jax.random.key(2), (20, 20, 3))

  def loss(net):
    return float(score(net, style.style_loss(net, painting, ['relu2']))(other))

  whole = loss(tiny)
  turned = loss(style.principal(tiny, painting, ['relu2'], 99))
  np.testing.assert_allclose(turned, whole, rtol=1e-3)


def test_only_those_layers_change(tiny, painting):
  net = style.principal(tiny, painting, ['relu2'], 1)
  (logits, acts), (want, whole) = net(painting), tiny(painting)
  np.testing.assert_array_equal(logits, want)
  np.testing.assert_array_equal(acts['relu1'], whole['relu1'])
  assert acts['relu2'].shape == (*whole['relu2'].shape[:-1], 1)


def test_bad_counts_and_layers_are_named(tiny, painting):
  with pytest.raises(ValueError, match='count: got 0'):
    style.principal(tiny, painting, ['relu2'], 0)
  with pytest.raises(ValueError, match="layer: got 'relu9'"):
    style.principal(tiny, painting, ['relu9'], 2)


def test_it_is_an_argument_of_a_jitted_function(tiny, painting):
  net = jax.jit(style.principal, static_argnums=(2, 3))(
    tiny, painting, ('relu2',), 2
  )
  read = jax.jit(lambda net, x: net(x)[1]['relu2'].sum())
  read(net, painting)
  read(style.principal(tiny, painting**2, ('relu2',), 2), painting)
  assert read._cache_size() == 1
  assert jnp.isfinite(jax.grad(read, 1)(net, painting)).all()
