import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import attribution, nets
from vizlab.attribution.cam import upsample
from vizlab.objectives import channel, logit, probability, score

NETS = [
  ('alexnet', 'caffe'),
  ('squeezenet11', 'caffe'),
  ('resnet18', 'torchvision'),
  ('vgg11', 'torchvision'),
]


def with_biases(arch, preprocess):
  """A small-headed net whose biases and statistics are not zero."""
  net = nets.create(arch, preprocess=preprocess, classes=5, classifier=False)
  key = jax.random.key(3)
  params = nets.get_params(net)
  for i, layer in enumerate(params.values()):
    for j, (name, value) in enumerate(sorted(layer.items())):
      if name != 'kernel':
        draw = jax.random.fold_in(jax.random.fold_in(key, i), j)
        noise = 0.3 * jax.random.normal(draw, value.shape)
        layer[name] = value + (jnp.abs(noise) if name == 'var' else noise)
  return nets.with_params(net, params)


@pytest.mark.parametrize(('arch', 'preprocess'), NETS)
def test_all_parts_sum_to_the_score(arch, preprocess):
  net = with_biases(arch, preprocess)
  asked = score(net, channel(net.ops[-1].name, 4))
  x = jax.random.uniform(jax.random.key(0), (2, 67, 70, 3))
  parts = jax.jit(attribution.full_gradient)(asked, x)
  y = np.asarray(jax.jit(lambda asked, x: asked(x))(asked, x))
  assert np.abs(y).min() > 0
  np.testing.assert_allclose(parts.sum() / y, 1, atol=1e-4)
  layers = {op.name for op in net.ops if op.name in net.params}
  assert set(parts.biases) <= layers


def test_all_parts_sum_to_every_logit_of_minivgg(minivgg, images):
  full_gradient = jax.jit(attribution.full_gradient)
  for target in range(0, 16, 5):
    asked = score(minivgg, logit(target))
    parts = full_gradient(asked, images)
    np.testing.assert_allclose(parts.sum(), asked(images), atol=2e-5, rtol=1e-4)
  asked = score(minivgg, probability(3))
  parts = full_gradient(asked, images)
  assert not np.allclose(parts.sum(), asked(images), atol=1e-2), 'not linear'


def test_parts_are_those_of_a_net_worked_by_hand():
  """``y = relu(2 (x + 1) + 3)``, and a unit that is off has no part."""

  class Net:
    def __call__(self, x, edits=None):
      a = (edits or {}).get('conv', lambda a: a)(2 * (x + 1) + 3)
      return None, {'conv': a, 'out': jax.nn.relu(a)}

    def biases(self):
      return {'input': jnp.array([1.0] * 3), 'conv': jnp.array([3.0] * 3)}

  def total(logits, acts):
    return acts['out'].sum((-3, -2, -1))

  x = jnp.zeros((1, 2, 3)).at[0, 0].set(0.5).at[0, 1].set(-4.0)
  asked = score(Net(), total)
  parts = attribution.full_gradient(asked, x)
  np.testing.assert_allclose(parts.input[0, 0], 2 * (0.5 + 1))
  np.testing.assert_allclose(parts.biases['conv'][0, 0], 3)
  np.testing.assert_allclose(parts.input[0, 1], 0)
  np.testing.assert_allclose(parts.biases['conv'][0, 1], 0)
  assert float(parts.sum()) == float(asked(x)) == 18


def test_map_is_the_sum_of_the_scaled_parts(minivgg, images):
  asked = score(minivgg, logit(3))
  parts = jax.jit(attribution.full_gradient)(asked, images)
  expected = np.zeros((5, 48, 48))
  enlarged = jax.jit(lambda a: upsample(a, (48, 48)))
  for part in (parts.input, *parts.biases.values()):
    if part.ndim != 4:
      continue
    size = np.abs(np.asarray(part, np.float64))
    for b in range(5):
      span = size[b].max() - size[b].min()
      scaled = (size[b] - size[b].min()) / span
      for k in range(size.shape[-1]):
        expected[b] += enlarged(scaled[..., k])
  got = jax.jit(attribution.fullgrad)(asked, images)
  np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_a_net_that_does_not_tell_its_biases_is_told_how(images):
  asked = score(lambda x, edits=None: (x.mean((-3, -2)), {}), logit(0))
  with pytest.raises(ValueError, match=r'has no method biases\(\)'):
    attribution.fullgrad(asked, images)
