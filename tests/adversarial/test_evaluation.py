import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear_nets import greys, linear_net

from vizlab import adversarial

KEY = jax.random.key(0)


def quick(net, x, label, epsilon, **changes):
  settings = {'steps': 20, 'squares': 30, 'batch': 8, **changes}
  return adversarial.robust_accuracy(
    net, x, label, KEY, epsilon=epsilon, **settings
  )


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_of_a_linear_net_it_is_known(norm):
  net, w = linear_net(4)
  x = greys(4, 12)
  label = net(x)[0].argmax(-1).at[0].set(1)  # perhaps one is wrong
  label = label.at[1].add(1) % 4  # and one is
  logits = np.asarray(net(x)[0], np.float64)
  w = np.asarray(w, np.float64)
  order = {'linf': 1, 'l2': 2}[norm]
  needed = []
  for i, own in enumerate(np.asarray(label)):
    each = [
      (logits[i, own] - logits[i, k])
      / np.linalg.norm((w[..., k] - w[..., own]).ravel(), order)
      for k in range(4)
      if k != own
    ]
    needed.append(min(each))
  # Radii that lie between the distances, not at one of them.
  radii = [0.0, *np.quantile(np.maximum(needed, 0), [0.35, 0.65]) * 1.001]
  found = quick(net, x, label, radii, norm=norm)
  assert found.clean == np.mean(np.array(needed) > 0)
  want = [(np.array(needed) > max(e, 1e-9)).mean() for e in radii]
  np.testing.assert_allclose(found.robust, want, atol=1e-6)
  np.testing.assert_allclose(found.robust[0], found.clean)
  for each in found.by_attack.values():
    assert (each >= found.robust).all()
  assert set(found.by_attack) == {'apgd', 'apgd_targeted', 'fmn', 'square'}
  assert found.warnings == ()


def test_the_batch_does_not_matter():
  net, _ = linear_net(4)
  x = greys(4, 5)
  label = net(x)[0].argmax(-1)
  one, other = (quick(net, x, label, [0.01], batch=b) for b in (5, 2))
  np.testing.assert_array_equal(one.robust, other.robust)
  for name, each in one.by_attack.items():
    np.testing.assert_array_equal(each, other.by_attack[name])


@pytest.mark.parametrize(('norm', 'radius'), [('linf', 0.2), ('l2', 2.0)])
def test_a_net_that_hides_its_gradients_is_reported(norm, radius):
  net, w = linear_net(4)

  def rounded(x, edits=None):
    return net(jnp.round(x * 100) / 100)

  x = greys(4, 6)
  label = net(x)[0].argmax(-1)
  found = quick(rounded, x, label, [radius], norm=norm, squares=300)
  warnings = ' '.join(found.warnings)
  assert 'the gradient of the cross entropy is zero' in warnings
  assert 'an attack that reads no gradient succeeds' in warnings
  # Attacks by gradients are left with their random starts.
  assert found.by_attack['square'][0] < found.by_attack['fmn'][0]
  assert found.by_attack['fmn'][0] == found.clean


def test_a_net_that_nothing_changes_is_reported():
  def constant(x, edits=None):
    logits = jnp.zeros((*x.shape[:-3], 4)).at[..., 2].set(1.0)
    return logits + 1e-6 * x.mean((-3, -2, -1))[..., None], {}

  found = quick(constant, greys(0, 3), jnp.array([2, 2, 1]), [0.5])
  assert found.clean == pytest.approx(2 / 3)
  assert any('may become any other at 2 of 2' in w for w in found.warnings)


@pytest.mark.parametrize('value', [0.0, jnp.nan])
def test_a_net_that_says_nothing_is_never_right(value):
  def silent(x, edits=None):
    return jnp.full((*x.shape[:-3], 4), value) * x.mean(), {}

  found = quick(silent, greys(0, 3), jnp.array([0, 1, 2]), [0.0, 0.1])
  assert found.clean == 0
  np.testing.assert_array_equal(found.robust, 0)
  undefined = any('not finite at 3 images' in w for w in found.warnings)
  assert undefined == np.isnan(value)


def test_a_net_that_answers_at_random_is_no_evidence():
  """Only by a call back to Python: random numbers of JAX are arguments."""
  net, _ = linear_net()
  rng = np.random.default_rng(0)

  def shaken(z):
    return z + 1e-3 * rng.normal(size=z.shape).astype(np.float32)

  @jax.custom_jvp
  def noise(z):
    shape = jax.ShapeDtypeStruct(z.shape, z.dtype)
    return jax.pure_callback(shaken, shape, z, vmap_method='expand_dims')

  noise.defjvp(lambda primals, tangents: (noise(*primals), tangents[0]))

  def restless(x, edits=None):
    return noise(net(x)[0]), {}

  x = greys(0, 3)
  label = net(x)[0].argmax(-1)
  found = quick(restless, x, label, [0.001], steps=2, squares=2)
  assert any('the same thing twice at 3 of 3' in w for w in found.warnings)
  calm = quick(net, x, label, [0.001], steps=2, squares=2)
  assert not any('twice' in w for w in calm.warnings)


def test_what_breaks_in_a_ball_breaks_in_every_larger_one():
  right = np.array([True, True, True])
  broken = {'a': np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], bool)}
  none = np.zeros(3, bool)
  trial = adversarial.Trial(right, broken, {}, *[none] * 4)
  found = adversarial.summary(trial, [0.3, 0.1, 0.2])
  np.testing.assert_allclose(found.robust, [1 / 3, 2 / 3, 1 / 3])


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (
      {'label': jnp.array([0, 1])},
      r'label: got shape \(2,\), expected one per',
    ),
    ({'label': jnp.array([0, 1, 4])}, 'target: got 4, expected 0 to 3'),
    ({'epsilon': 0.1}, r'epsilon, x: got shapes \(\) and'),
    ({'epsilon': [-0.1]}, r'epsilon: got \[-0.1\], expected at least 0'),
    ({'norm': 'l1'}, "norm: got 'l1', expected one of"),
    ({'batch': 0}, 'batch: got 0'),
    ({'targets': 0}, 'targets: got 0'),
  ],
)
def test_wrong_arguments_are_named(change, message):
  net, _ = linear_net()
  settings = {'label': jnp.array([0, 1, 2]), 'epsilon': [0.1], **change}
  with pytest.raises(ValueError, match=message):
    quick(net, greys(0, 3), **settings)
