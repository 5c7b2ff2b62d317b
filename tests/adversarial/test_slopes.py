"""Slopes of scores, and what attacks do without them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from linear_nets import greys, linear_net

from vizlab import adversarial
from vizlab.adversarial.slopes import slope
from vizlab.objectives import logit, score

KEY = jax.random.key(1)


def test_the_slope_is_the_mean_over_draws(tiny):
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  score_fn = score(tiny, logit(2))

  def dimmed(key, x):
    return x * jax.random.uniform(key)

  loss, goal, g = slope(score_fn, x, KEY, dimmed, 5)
  each = [
    jax.value_and_grad(lambda v, k=k: score_fn(dimmed(k, v)).sum())(x)
    for k in jax.random.split(KEY, 5)
  ]
  np.testing.assert_allclose(loss.sum(), np.mean([v for v, _ in each]), 1e-4)
  np.testing.assert_allclose(g, sum(v for _, v in each) / 5, atol=1e-5)
  np.testing.assert_array_equal(loss, goal)
  found = adversarial.pgd(
    score_fn, x, KEY, epsilon=0.05, steps=2, augment=dimmed, draws=5
  )
  assert (found.queries == 5 * 4 + 2).all()


@pytest.mark.parametrize(
  'attack', ['fgsm', 'pgd', 'apgd', 'fmn', 'cw', 'deepfool']
)
@pytest.mark.parametrize(
  'hidden',
  [
    jax.lax.stop_gradient,
    lambda x: (255 * x).astype(jnp.int32).astype(jnp.float32),
    jax.jit(jnp.round),
  ],
  ids=['stopped', 'integers', 'rounded'],
)
def test_a_net_without_a_gradient_is_an_error(attack, hidden):
  net, _ = linear_net()
  x = greys(0, 2)

  def blind(x, edits=None):
    return net(hidden(x))

  score_fn = adversarial.mislead(blind, 1)
  calls = {
    'fgsm': lambda: adversarial.fgsm(score_fn, x, epsilon=0.1),
    'pgd': lambda: adversarial.pgd(score_fn, x, KEY, epsilon=0.1, steps=2),
    'apgd': lambda: adversarial.apgd(score_fn, x, KEY, epsilon=0.1, steps=2),
    'fmn': lambda: adversarial.fmn(score_fn, x, steps=2),
    'cw': lambda: adversarial.carlini_wagner(score_fn, x, steps=2, searches=1),
    'deepfool': lambda: adversarial.deepfool(blind, x, 1, steps=2),
  }
  with pytest.raises(ValueError, match='score: has no gradient with respect'):
    calls[attack]()
  if attack == 'fgsm':  # the one that reads none works
    found = adversarial.square(score_fn, x, KEY, epsilon=0.3, steps=2)
    assert found.raw.shape == x.shape


@pytest.mark.parametrize('attack', ['fgsm', 'pgd', 'apgd'])
def test_success_is_what_the_score_says_without_a_gradient(attack):
  """A score with a gradient of its own may say another thing beside it."""

  @jax.custom_vjp
  def steps(x):
    return jnp.round(4 * x).mean((-3, -2, -1)) / 4 - 0.6

  def forward(x):
    return x.mean((-3, -2, -1)) - 0.6, x

  def backward(x, g):
    return (jnp.ones_like(x) * g[:, None, None, None],)

  steps.defvjp(forward, backward)
  x = jnp.stack([jnp.full((2, 2, 3), v) for v in (0.5, 0.61)])
  key = () if attack == 'fgsm' else (KEY,)
  found = getattr(adversarial, attack)(Partial(steps), x, *key, epsilon=0.12)
  np.testing.assert_array_equal(found.success, steps(found.projected) > 0)
  np.testing.assert_array_equal(found.already, steps(x) > 0)
  smooth = forward(found.projected)[0] > 0
  assert (smooth & ~found.success).any()
