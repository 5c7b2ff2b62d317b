"""Template masks in a network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import jit_once

from vizlab import attribution, nets
from vizlab.nets.layers import TemplateMask
from vizlab.objectives import logit, score
from vizlab.rules import Rules
from vizlab.templates import peak_mask


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(jax.random.key(0), (2, 32, 40, 3))


def test_the_layer_masks_around_the_peak_and_has_no_slope_there():
  maps = jax.random.normal(jax.random.key(1), (2, 5, 6, 3)) ** 2
  layer = TemplateMask('mask', beta=2.0)
  y, back = jax.vjp(lambda x: layer({}, Rules(), x), maps)
  mask = peak_mask(maps, beta=2.0)
  np.testing.assert_array_equal(y, maps * mask)
  assert ((mask == 0).any((1, 2)) & (mask == 1).any((1, 2))).all()
  # The mask is a constant of the gradient.
  g = jax.random.normal(jax.random.key(2), maps.shape)
  np.testing.assert_allclose(back(g)[0], g * mask, rtol=1e-6)
  assert TemplateMask('mask').beta == 4.0


def test_later_layers_read_the_mask(x):
  plain = nets.load('minivgg')
  net = nets.with_template_masks(plain, ['relu4_2', 'relu5_2'], beta=3.0)
  names = [*plain.layer_names]
  for name in ('relu5_2', 'relu4_2'):
    names.insert(names.index(name) + 1, f'{name}_mask')
  assert [*net.layer_names] == names and nets.is_chain(net)
  logits, acts = net(x)
  before = plain(x)[1]
  np.testing.assert_array_equal(acts['relu4_2'], before['relu4_2'])
  masked = acts['relu4_2'] * peak_mask(acts['relu4_2'], beta=3.0)
  np.testing.assert_allclose(acts['relu4_2_mask'], masked, rtol=1e-6)
  by_edits, _ = plain(
    x,
    {
      name: lambda a: a * peak_mask(a, beta=3.0)
      for name in ('relu4_2', 'relu5_2')
    },
  )
  np.testing.assert_allclose(logits, by_edits, rtol=1e-5)
  # The original is as it was, and the weights are shared.
  assert plain.layer_names == nets.load('minivgg').layer_names
  assert nets.param_count(net) == nets.param_count(plain)
  # The mask sees the whole map.
  fields = {row.name: row.field for row in nets.layer_info(net)}
  assert fields['relu4_2'] is not None and fields['relu4_2_mask'] is None


def test_branches_read_the_mask(x):
  plain = nets.create('resnet20', key=jax.random.key(3))
  name = next(n for n in plain.layer_names if 'relu' in n)
  net = nets.with_template_masks(nets.with_dtype(plain, 'bfloat16'), [name])
  assert net.dtype == 'bfloat16'
  net = nets.with_template_masks(plain, [name])
  by_edit, _ = plain(x[:, :, :32], {name: lambda a: a * peak_mask(a)})
  np.testing.assert_allclose(net(x[:, :, :32])[0], by_edit, rtol=1e-4)
  readers = [op for op in net.ops if name in op.inputs]
  assert not readers and any(f'{name}_mask' in op.inputs for op in net.ops)


def test_a_masked_network_is_saved_and_loaded(x, tmp_path):
  net = nets.with_template_masks(nets.load('minivgg'), ['relu5_2'], beta=2.5)
  nets.save(net, tmp_path / 'net.safetensors')
  again = nets.load(tmp_path / 'net.safetensors')
  assert again.ops == net.ops
  np.testing.assert_array_equal(again(x)[0], net(x)[0])


def test_relevance_passes_the_mask(x):
  net = nets.with_template_masks(nets.load('minivgg'), ['relu4_2'])
  asked = score(net, logit(3))
  before, after = (
    jit_once(functools.partial(attribution.layer_relevance, layer=name))(
      asked, x[:1]
    )
    for name in ('relu4_2', 'relu4_2_mask')
  )
  np.testing.assert_allclose(before, after, atol=1e-3 * jnp.abs(after).max())
  # What the mask hides has no part in the score.
  hidden = peak_mask(net(x[:1])[1]['relu4_2']) == 0
  assert not before[hidden].any() and before.any()


def test_occlusion_of_a_masked_network_is_that_of_whole_images(x):
  net = nets.with_template_masks(nets.load('minivgg'), ['relu4_2'])

  class Own(nets.Network):
    def __call__(self, x, edits=None):
      return super().__call__(x, edits)

  own = Own(net.arch, net.ops, net.spec, nets.get_params(net))
  assert own.occlude is None and net.occlude is not None
  found, whole = (
    attribution.occlusion(score(each, logit(3)), x, patch=20, stride=12)
    for each in (net, own)
  )
  np.testing.assert_allclose(found, whole, atol=1e-4)


@pytest.mark.parametrize(
  ('layers', 'beta', 'message'),
  [
    ('relu4_2', 4.0, "layers: got the text 'relu4_2', expected a list"),
    (['relu9'], 4.0, "layer: got 'relu9', expected"),
    (['gap'], 4.0, "layers: 'gap' is a vector, expected maps"),
    (['relu4_2'], 0.0, 'beta: got 0.0, expected a finite number'),
    (['relu4_2'], float('inf'), 'beta: got inf, expected a finite number'),
    (['relu4_2'], float('nan'), 'beta: got nan, expected a finite number'),
  ],
)
def test_bad_input_is_named(layers, beta, message):
  with pytest.raises(ValueError, match=message):
    nets.with_template_masks(nets.load('minivgg'), layers, beta=beta)


def test_a_layer_is_masked_once():
  net = nets.with_template_masks(nets.load('minivgg'), ['relu4_2'])
  with pytest.raises(ValueError, match="layers: 'relu4_2' already has a mask"):
    nets.with_template_masks(net, ['relu4_2'])
  both = nets.with_template_masks(net, ['relu5_2'])
  assert 'relu4_2_mask' in both.layer_names
  with pytest.raises(ValueError, match='net: got FunctionNet, expected a Net'):
    nets.with_template_masks(
      nets.from_function(lambda x: x.mean((1, 2)), jnp.zeros((1, 8, 8, 3))),
      ['x'],
    )
