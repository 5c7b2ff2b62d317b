import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import make_tiny

from vizlab import nets, probes


@pytest.mark.parametrize('layer', ['relu1', 'pool1', 'relu2', 'gap'])
def test_attribution_is_the_activation_times_its_gradient(tiny, layer):
  x = jax.random.uniform(jax.random.key(0), (3, 16, 16, 3))
  found = jax.jit(probes.effects, static_argnums=1)(tiny, layer, 5, x)
  a = tiny(x)[1][layer]
  for target in range(6):

    def logit(added, target=target):
      return tiny(x, {layer: lambda a: a + added})[0][:, target].sum()

    slope = jax.grad(logit)(jnp.zeros_like(a))
    wanted = (a * slope)[..., 5].reshape(3, -1).sum(1)
    np.testing.assert_allclose(
      found.attribution[:, target], wanted, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize('layer', ['relu1', 'relu2'])
def test_ablation_is_the_fall_of_the_logits(tiny, layer):
  x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
  found = probes.effects(tiny, layer, 2, x)
  without = tiny(x, {layer: lambda a: a.at[..., 2].set(0)})[0]
  np.testing.assert_allclose(
    found.ablation, tiny(x)[0] - without, rtol=1e-4, atol=1e-6
  )
  assert np.abs(found.ablation).max() > 1e-3


@pytest.mark.parametrize('layer', ['relu5_2', 'gap'])
def test_they_are_equal_above_which_the_net_is_linear(minivgg, images, layer):
  found = probes.effects(minivgg, layer, 7, images)
  np.testing.assert_allclose(found.attribution, found.ablation, atol=1e-5)
  # The drop of the logit by hand: the mean activation times the weight.
  weight = nets.get_params(minivgg)['fc']['kernel'][7]
  mean = minivgg(images)[1]['gap'][:, 7:8]
  np.testing.assert_allclose(found.ablation, mean * weight[None], atol=1e-5)


def test_channels_are_a_vmapped_axis():
  net = make_tiny(1)
  x = jax.random.uniform(jax.random.key(0), (4, 2, 16, 16, 3))
  units = jnp.array([0, 3, 3, 7])

  @jax.jit
  def effects(k, x):
    return probes.effects(net, 'relu1', k, x)

  both = jax.vmap(effects)(units, x)
  for i, k in enumerate(units.tolist()):
    one = effects(k, x[i])
    for name in ('attribution', 'ablation'):
      np.testing.assert_allclose(
        getattr(both, name)[i], getattr(one, name), rtol=1e-4, atol=1e-6
      )
  whole = effects(3, x)
  assert whole.ablation.shape == (4, 2, 6)


def test_wrong_arguments_are_named(tiny):
  x = jnp.zeros((1, 16, 16, 3))
  with pytest.raises(ValueError, match="layer: got 'relu9'"):
    probes.effects(tiny, 'relu9', 0, x)
  for wrong in (8, -1):
    with pytest.raises(ValueError, match=f'channel: got {wrong}, .* 0 to 7'):
      probes.effects(tiny, 'relu1', wrong, x)
  headless = nets.create('alexnet', classifier=False)
  with pytest.raises(ValueError, match='net: got one without a classifier'):
    probes.effects(headless, 'relu1', 0, jnp.zeros((1, 224, 224, 3)))
  with pytest.raises(ValueError, match="upper: got 'relu9'"):
    probes.contributions(tiny, 'relu1', jnp.ones(()), x, upper='relu9')


@pytest.mark.parametrize('layer', ['pool1', 'gap'])
def test_contributions_of_any_part_are_those_of_the_gradient(tiny, layer):
  x = jax.random.uniform(jax.random.key(0), (3, 16, 16, 3))
  a = tiny(x)[1][layer]
  part = jax.random.uniform(jax.random.key(1), a.shape)
  found = jax.jit(probes.contributions, static_argnums=1)(tiny, layer, part, x)
  for target in range(6):

    def logit(added, target=target):
      return tiny(x, {layer: lambda a: a + added})[0][:, target].sum()

    slope = jax.grad(logit)(jnp.zeros_like(a))
    wanted = (part * a * slope).reshape(3, -1).sum(1)
    np.testing.assert_allclose(found[:, target], wanted, rtol=1e-4, atol=1e-5)


def test_contributions_between_layers_are_those_of_the_gradient(tiny):
  x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
  a = tiny(x)[1]['pool1']
  part = jax.random.uniform(jax.random.key(1), a.shape)
  found = jax.jit(probes.contributions, static_argnames=('layer', 'upper'))(
    tiny, 'pool1', part, x, upper='conv2'
  )

  def upper(added):
    return tiny(x, {'pool1': lambda a: a + added})[1]['conv2']

  # The layer is linear in the other one, but for its bias.
  wanted = upper(part * a) - upper(0.0)
  assert found.shape == wanted.shape
  np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_contributions_through_a_layer_are_those_to_the_logit(tiny):
  x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
  part = jnp.zeros(8).at[jnp.array([1, 4])].set(1.0)
  through = probes.contributions(tiny, 'relu1', part, x, upper='relu2')

  def logit(added):
    return tiny(x, {'relu2': lambda a: a + added})[0][:, 3].sum()

  slope = jax.grad(logit)(jnp.zeros_like(through))
  np.testing.assert_allclose(
    (through * slope).sum((1, 2, 3)),
    probes.contributions(tiny, 'relu1', part, x)[:, 3],
    rtol=1e-4,
    atol=1e-5,
  )


def test_a_layer_below_receives_nothing(tiny):
  x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
  found = probes.contributions(tiny, 'relu2', jnp.ones(()), x, upper='relu1')
  assert not found.any()


def test_all_parts_together_are_the_logit_without_its_bias(minivgg, images):
  whole = probes.contributions(minivgg, 'relu5_2', jnp.ones(()), images)
  bias = nets.get_params(minivgg)['fc']['bias']
  np.testing.assert_allclose(
    whole, minivgg(images)[0] - bias[None], rtol=1e-3, atol=1e-3
  )
