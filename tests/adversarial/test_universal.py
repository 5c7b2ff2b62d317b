"""One perturbation for all images, on nets whose best one is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import adversarial

KEY = jax.random.key(3)
EPSILON = 0.05


def linear(seed=0, classes=2):
  weight = jax.random.normal(jax.random.key(seed), (6, 8, 3, classes))

  def net(x, edits=None):
    return jnp.einsum('...hwc,hwck->...k', x - 0.5, weight), {}

  return net, weight


def greys(count):
  return 0.4 + 0.2 * jax.random.uniform(jax.random.key(1), (count, 6, 8, 3))


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_it_is_the_slope_of_a_linear_net(norm):
  net, weight = linear()
  x = greys(5)
  label = jnp.zeros(5, jnp.int32)
  found = adversarial.universal(
    net, x, label, KEY, epsilon=EPSILON, norm=norm, steps=40, batch=3, cap=1e9
  )
  slope = weight[..., 1] - weight[..., 0]
  unit = jnp.sign(slope) if norm == 'linf' else slope / jnp.linalg.norm(slope)
  np.testing.assert_allclose(found.delta, EPSILON * unit, atol=1e-4)
  said = net(jnp.clip(x + found.delta[None], 0, 1))[0].argmax(-1)
  np.testing.assert_array_equal(found.success, said != label)
  np.testing.assert_array_equal(found.already, net(x)[0].argmax(-1) != label)


def test_images_that_are_lost_do_not_count(tiny):
  """With a cap below every loss there is nothing to climb."""
  x = jax.random.uniform(jax.random.key(1), (4, 16, 16, 3))
  label = tiny(x)[0].argmax(-1)
  capped, free = (
    adversarial.universal(
      tiny, x, label, KEY, epsilon=EPSILON, steps=5, cap=cap
    )
    for cap in (0.0, 9.0)
  )
  np.testing.assert_array_equal(capped.delta, 0)
  assert not capped.success.any()
  assert jnp.abs(free.delta).max() <= EPSILON * (1 + 1e-6)
  assert jnp.abs(free.delta).max() > 0


def test_images_that_are_not_finite_count_for_nothing(tiny):
  """They get no weight: the others alone give the perturbation."""
  x = jax.random.uniform(jax.random.key(1), (3, 16, 16, 3))
  label = tiny(x)[0].argmax(-1)
  broken = jnp.concatenate([x, x[:1].at[0, 2, 2, 1].set(jnp.nan)])
  labels = jnp.concatenate([label, label[:1]])
  settings = {'epsilon': EPSILON, 'steps': 4, 'batch': 4, 'norm': 'l2'}
  found = adversarial.universal(tiny, broken, labels, KEY, **settings)
  alone = adversarial.universal(tiny, x, label, KEY, **settings)
  # All images are in each step; only rounding differs.
  np.testing.assert_allclose(found.delta, alone.delta, atol=1e-5)
  assert not found.success[3] and jnp.abs(found.delta).max() > 0
  square = adversarial.patch(tiny, broken, 2, KEY, size=5, steps=3, batch=4)
  assert jnp.isfinite(square).all() and jnp.abs(square - 0.5).max() > 0.01


def test_a_net_without_a_gradient_is_an_error():
  net, _ = linear()

  def rounded(x, edits=None):
    return net(jnp.round(2 * x))

  x = greys(3)
  with pytest.raises(ValueError, match='score: has no gradient'):
    adversarial.universal(rounded, x, 0, KEY, epsilon=EPSILON, steps=2)
  with pytest.raises(ValueError, match='score: has no gradient'):
    adversarial.patch(rounded, x, 1, KEY, size=2, steps=2)


def test_it_misleads_more_than_noise_does(tiny):
  x = jax.random.uniform(jax.random.key(1), (24, 16, 16, 3))
  label = tiny(x)[0].argmax(-1)
  found = adversarial.universal(
    tiny, x, label, KEY, epsilon=0.2, steps=60, batch=8
  )
  assert not found.already.any()
  noise = 0.2 * jnp.sign(jax.random.normal(KEY, (1, 16, 16, 3)))
  said = tiny(jnp.clip(x + noise, 0, 1))[0].argmax(-1)
  assert found.success.mean() > (said != label).mean() + 0.2


def test_a_patch_is_pasted_where_it_is_said():
  image = jnp.zeros((5, 6, 3))
  square = jnp.ones((2, 2, 3))
  out = adversarial.paste(image, square, jnp.array([3, 1]))
  assert out.sum() == 12
  assert (out[3:5, 1:3] == 1).all()


def test_the_patch_of_a_linear_net_is_black_and_white():
  weight = jnp.array([[0.3, -0.2], [-0.1, 0.4], [0.0, 0.1]])  # of each channel

  def net(x, edits=None):
    return jnp.einsum('...hwc,ck->...k', x, weight), {}

  square = adversarial.patch(
    net, greys(6), 1, KEY, size=3, steps=60, rate=0.1, batch=4
  )
  rising = weight[:, 1] > weight[:, 0]
  np.testing.assert_array_equal(
    square, np.broadcast_to(rising, (3, 3, 3)).astype(np.float32)
  )


def test_a_patch_works_wherever_it_is(tiny):
  x = jax.random.uniform(jax.random.key(1), (8, 16, 16, 3))
  target = 4
  square = adversarial.patch(
    tiny, x, target, KEY, size=9, steps=150, rate=0.1, batch=8
  )
  assert square.shape == (9, 9, 3)
  assert (square >= 0).all() and (square <= 1).all()

  def share(square):
    hits = [
      tiny(jax.vmap(adversarial.paste, (0, None, None))(x, square, at))[0]
      for at in jnp.array([[0, 0], [7, 7], [3, 5]])
    ]
    return np.mean([logits.argmax(-1) == target for logits in hits])

  assert share(square) > share(jnp.full_like(square, 0.5)) + 0.5


def test_a_patch_is_changed_before_it_is_pasted():
  net, _ = linear()
  x = greys(4)

  def black(key, square):
    del key
    return 0 * square

  square = adversarial.patch(
    net, x, 1, KEY, size=3, steps=20, batch=4, augment=black
  )
  np.testing.assert_array_equal(square, 0.5)  # nothing depends on it


def test_bad_arguments_are_refused():
  net, _ = linear()
  x = greys(3)
  with pytest.raises(ValueError, match='epsilon: got shape'):
    adversarial.universal(net, x, 0, KEY, epsilon=[0.1, 0.2])
  with pytest.raises(ValueError, match="norm: got 'l1'"):
    adversarial.universal(net, x, 0, KEY, epsilon=0.1, norm='l1')
  with pytest.raises(ValueError, match='x: got shape'):
    adversarial.universal(net, x[0], 0, KEY, epsilon=0.1)
  with pytest.raises(ValueError, match='rate: got -1'):
    adversarial.universal(net, x, 0, KEY, epsilon=0.1, rate=-1.0)
  with pytest.raises(ValueError, match='size: got 7, expected at most 6'):
    adversarial.patch(net, x, 1, KEY, size=7)
  with pytest.raises(ValueError, match='target|label'):
    adversarial.patch(net, x, 2, KEY, size=3)
