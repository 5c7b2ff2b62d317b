import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_nets import greys, linear_net

from vizlab import adversarial, nets
from vizlab.adversarial import balls

KEY = jax.random.key(0)


def cross_entropy(logits, label):
  p = jax.nn.log_softmax(logits)
  return -jnp.take_along_axis(p, label[:, None], -1)[:, 0]


def test_the_worst_images_of_a_linear_net_are_known():
  """With two classes, every pixel moves to the border of the ball."""
  net, w = linear_net(1, 2)
  x, label = greys(1, 4), jnp.array([0, 1, 1, 0])
  away = jnp.sign(w[..., 1] - w[..., 0])[None]
  sign = jnp.where(label == 0, 1, -1)[:, None, None, None]
  worst = x + 0.02 * sign * away
  found = adversarial.madry_loss(net, x, label, KEY, epsilon=0.02, steps=5)
  np.testing.assert_allclose(
    found, cross_entropy(net(worst)[0], label), rtol=1e-4
  )


def test_its_gradient_is_that_at_the_worst_images(tiny):
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  label = jnp.array([2, 5])
  settings = {'epsilon': 0.02, 'steps': 3}
  worst = adversarial.ascend(
    adversarial.mislead(tiny, label), x, KEY, **settings
  )

  def trained(params):
    net = nets.with_params(tiny, params)
    return adversarial.madry_loss(net, x, label, KEY, **settings).sum()

  def plain(params):
    net = nets.with_params(tiny, params)
    return cross_entropy(net(worst)[0], label).sum()

  params = nets.get_params(tiny)
  got, want = jax.grad(trained)(params), jax.grad(plain)(params)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    got,
    want,
  )


@pytest.mark.parametrize('norm', ['linf', 'l2', 'l1'])
def test_each_image_starts_at_a_point_of_its_own(norm):
  x = jnp.full((3, 6, 5, 3), 0.5)
  still = adversarial.ascend(
    lambda x: 0 * x.sum((-3, -2, -1)), x, KEY, epsilon=0.1, norm=norm
  )
  delta = np.asarray(still - x).reshape(3, -1)
  order = {'linf': np.inf, 'l2': 2, 'l1': 1}[norm]
  length = np.linalg.norm(delta, order, axis=1)
  assert (length > 0.02).all() and (length <= 0.1001).all()
  assert not np.allclose(delta[0], delta[1])


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_free_training_is_the_papers_algorithm(norm):
  """A linear net, whose gradients are known; each batch comes three times."""
  net, w = linear_net(1, 2)
  x, label = greys(4, 6), np.array([0, 1, 1, 0, 1, 0])
  epsilon, rate = 0.05, 0.3
  tx = optax.partition(
    {'net': optax.sgd(rate), 'delta': adversarial.free_ascent(epsilon, norm)},
    {'net': 'net', 'delta': 'delta'},
  )
  trained = {'net': net, 'delta': jnp.zeros_like(x[:3])}
  state = tx.init(trained)

  def loss(trained, x, label):
    return adversarial.free_loss(
      trained['net'], x, label, trained['delta']
    ).mean()

  w, b = np.asarray(w, np.float64), np.zeros(2)
  delta = np.zeros(x[:3].shape)
  for step in range(6):
    some = slice(0, 3) if step < 3 else slice(3, 6)
    grads = jax.grad(loss)(trained, x[some], label[some])
    updates, state = tx.update(grads, state, trained)
    trained = optax.apply_updates(trained, updates)
    # By hand.
    at = np.clip(np.asarray(x[some]) + delta, 0, 1)
    logits = np.einsum('nhwc,hwck->nk', at, w) + b
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = p - np.eye(2)[label[some]]
    up = np.einsum('nk,hwck->nhwc', wrong, w)
    w = w - rate * np.einsum('nk,nhwc->hwck', wrong, at) / 3
    b = b - rate * wrong.mean(0)
    length = np.sqrt(np.square(up).sum((1, 2, 3), keepdims=True))
    delta = delta + epsilon * (np.sign(up) if norm == 'linf' else up / length)
    if norm == 'linf':
      delta = np.clip(delta, -epsilon, epsilon)
    else:
      length = np.sqrt(np.square(delta).sum((1, 2, 3), keepdims=True))
      delta *= np.minimum(1, epsilon / length)
    np.testing.assert_allclose(trained['delta'], delta, atol=1e-6)
    for got, want in zip(trained['net'].args, (w, b), strict=True):
      np.testing.assert_allclose(got, want, atol=1e-5)


def test_wrong_perturbations_are_named(tiny):
  x = jnp.full((2, 12, 12, 3), 0.5)
  with pytest.raises(ValueError, match='delta: got shape .* expected'):
    adversarial.free_loss(tiny, x, jnp.array([0, 1]), x[:1])
  with pytest.raises(ValueError, match="norm: got 'l3'"):
    adversarial.free_ascent(0.1, 'l3')
  with pytest.raises(ValueError, match='epsilon: got -0.1'):
    adversarial.free_ascent(-0.1)


@pytest.mark.parametrize('steps', [1, 3])
def test_the_ascent_takes_so_many_steps(steps):
  x = jnp.full((2, 4, 4, 3), 0.5)
  slope = jax.random.normal(KEY, x.shape[1:])
  found = adversarial.ascend(
    lambda x: (x * slope[None]).sum((1, 2, 3)),
    x,
    KEY,
    epsilon=0.1,
    steps=steps,
    rate=0.25,
  )
  start = jnp.stack(
    [
      balls.random_point(key, x.shape[1:], jnp.float32(0.1), 'linf')
      for key in jax.random.split(KEY, 2)
    ]
  )
  moved = start + steps * 0.025 * jnp.sign(slope)[None]
  np.testing.assert_allclose(found, x + jnp.clip(moved, -0.1, 0.1), atol=1e-6)


def test_trades_is_the_papers_sum(tiny):
  x = jax.random.uniform(KEY, (3, 12, 12, 3))
  label = jnp.array([0, 4, 1])
  clean = jax.nn.log_softmax(tiny(x)[0])

  def apart(v):
    now = jax.nn.log_softmax(tiny(v)[0])
    return (jnp.exp(clean) * (clean - now)).sum(-1)

  settings = {'epsilon': 0.03, 'steps': 4}
  worst = adversarial.ascend(apart, x, KEY, **settings)
  assert (apart(worst) > 0).all()
  for beta in (0.0, 6.0, None):  # 6 by default
    weight = {} if beta is None else {'beta': beta}
    found = adversarial.trades_loss(tiny, x, label, KEY, **weight, **settings)
    beta = 6.0 if beta is None else beta
    want = cross_entropy(tiny(x)[0], label) + beta * apart(worst)
    np.testing.assert_allclose(found, want, rtol=1e-4)


def test_both_answers_of_trades_are_trained(tiny):
  """The divergence has a slope by what is said of the image itself, too."""
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  label = jnp.array([0, 4])
  settings = {'epsilon': 0.05, 'steps': 2}

  def with_bias(shift, which):
    def net(x, edits=None):
      logits, acts = tiny(x)
      return logits + shift * which[None], acts

    return net

  which = jnp.eye(6)[3]
  value = jax.jit(
    lambda shift: adversarial.trades_loss(
      with_bias(shift, which), x, label, KEY, **settings
    ).sum()
  )
  slope = jax.grad(value)(0.0)
  numeric = (value(1e-2) - value(-1e-2)) / 2e-2
  np.testing.assert_allclose(slope, numeric, rtol=0.02)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'steps': 0}, 'steps: got 0'),
    ({'epsilon': -1.0}, 'epsilon: got -1.0'),
    ({'norm': 'l0'}, "norm: got 'l0'"),
    ({'rate': -1.0}, 'rate: got -1.0'),
    ({'epsilon': [0.1, 0.2]}, r'epsilon: got shape \(2,\), expected one'),
  ],
)
def test_wrong_settings_are_named(change, message, tiny):
  x = jnp.zeros((1, 12, 12, 3))
  with pytest.raises(ValueError, match=message):
    adversarial.madry_loss(
      tiny, x, jnp.array([0]), KEY, **{'epsilon': 0.1, **change}
    )


@pytest.mark.parametrize('name', ['madry_loss', 'trades_loss'])
def test_labels_are_checked_and_float64_is_kept(name, tiny):
  loss = getattr(adversarial, name)
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  with pytest.raises(ValueError, match='target: got 6, expected 0 to 5'):
    loss(tiny, x, jnp.array([0, 6]), KEY, epsilon=0.1)
  with jax.enable_x64(True):
    image = jnp.asarray(np.asarray(x, np.float64))
    label = np.array([0, 1], np.int32)
    assert loss(tiny, image, label, KEY, epsilon=0.1).dtype == jnp.float64


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_the_ball_of_trades_is_that_of_the_norm(norm, tiny):
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  label = jnp.array([0, 4])
  clean = jax.nn.log_softmax(tiny(x)[0])

  def apart(v):
    now = jax.nn.log_softmax(tiny(v)[0])
    return (jnp.exp(clean) * (clean - now)).sum(-1)

  settings = {'epsilon': 0.5, 'norm': norm, 'steps': 2}
  worst = adversarial.ascend(apart, x, KEY, **settings)
  entropy = cross_entropy(tiny(x)[0], label)
  np.testing.assert_allclose(
    adversarial.trades_loss(tiny, x, label, KEY, beta=2.0, **settings),
    entropy + 2 * apart(worst),
    rtol=1e-3,
  )


def test_the_ascent_has_no_gradient(tiny):
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  label = jnp.array([0, 4])

  def total(x):
    goal = adversarial.mislead(tiny, label)
    found = adversarial.ascend(goal, x, KEY, epsilon=0.1, norm='l2', steps=2)
    return found.sum()

  assert not jax.grad(total)(x).any()


@pytest.mark.parametrize('name', ['madry_loss', 'trades_loss'])
def test_seven_steps_by_default(name, tiny):
  loss = getattr(adversarial, name)
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  label = jnp.array([2, 5])
  default, seven, eight = (
    loss(tiny, x, label, KEY, epsilon=0.05, **steps)
    for steps in ({}, {'steps': 7}, {'steps': 8})
  )
  np.testing.assert_array_equal(default, seven)
  assert not jnp.array_equal(seven, eight)
