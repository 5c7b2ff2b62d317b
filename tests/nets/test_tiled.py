import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import nets

KEY = jax.random.key(0)


@pytest.mark.parametrize(
  ('arch', 'size', 'side', 'names'),
  [
    ('tiny', (40, 61), 20, ('relu1', 'relu2')),
    ('tiny', (40, 17), 20, ('relu2', 'pool1')),  # no cut on one axis
    ('tiny', (18, 20), 20, ('relu2',)),  # none at all
    ('minivgg', (131, 90), 64, ('relu1_1', 'pool2', 'relu3_1')),
    ('vgg11', (75, 101), 64, ('relu1_1', 'relu3_1')),
    ('squeezenet11', (150, 203), 128, ('relu_conv1', 'fire4/concat')),
    ('squeezenet11', (208, 177), 64, ('fire2/concat',)),
    ('zfnet', (208, 177), 160, ('pool2',)),
  ],
)
def test_tiles_give_the_maps_and_slopes_of_the_whole(
  arch, size, side, names, tiny
):
  net = tiny if arch == 'tiny' else nets.create(arch, classifier=False)
  x = jax.random.uniform(KEY, (2, *size, 3))
  cut = nets.tiled(net, names, side)

  @jax.jit
  def both(net, x):
    def total(x):
      acts = net(x)[1]
      return sum((acts[k] ** 2 * (1 + i)).mean() for i, k in enumerate(names))

    acts = net(x)[1]
    return {k: acts[k] for k in names}, jax.grad(total)(x)

  for got, want in zip(both(cut, x), both(net, x), strict=True):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(
        a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max())
      ),
      got,
      want,
    )


@pytest.mark.parametrize(
  ('arch', 'side', 'names'),
  [
    ('alexnet', 160, ('relu1', 'pool2')),
    ('zfnet', 160, ('pool2',)),
    ('squeezenet11', 64, ('relu_conv1', 'fire2/concat')),
  ],
)
def test_maps_of_nets_without_padding_have_their_shapes(arch, side, names):
  net = nets.create(arch, classifier=False)
  cut = nets.tiled(net, names, side)
  step = max(field.stride for _, field in cut.fields)
  for length in range(side + 1, side + 2 * step + 1):
    x = jax.ShapeDtypeStruct((length, length + 3, 3), jnp.float32)
    got, want = (jax.eval_shape(each, x)[1] for each in (cut, net))
    assert {k: got[k].shape for k in names} == {
      k: want[k].shape for k in names
    }, length


def test_memory_does_not_hold_what_is_inside(tiny):
  def bytes_of(net, size):
    grad = jax.grad(lambda x, net: net(x)[1]['pool2'].sum())
    compiled = jax.jit(grad).lower(jnp.zeros((size, size, 3)), net).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  cut = nets.tiled(tiny, ['pool2'], 128)
  assert bytes_of(cut, 1024) < 0.3 * bytes_of(tiny, 1024)


@pytest.mark.parametrize(
  ('names', 'side', 'message'),
  [
    (['relu9'], 64, 'layer: got .relu9'),
    (['gap'], 64, 'names: got .gap., which sees the whole image'),
    (['relu2'], 8, 'side: got 8, expected at least'),
    ([], 64, 'names: got none'),
  ],
)
def test_what_cannot_be_tiled_is_named(tiny, names, side, message):
  with pytest.raises(ValueError, match=message):
    nets.tiled(tiny, names, side)


def test_a_tiled_net_takes_no_edits(tiny):
  with pytest.raises(ValueError, match='edits'):
    nets.tiled(tiny, ['relu2'])(jnp.zeros((64, 64, 3)), {'relu1': lambda a: a})
