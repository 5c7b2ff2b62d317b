import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import nets, probes


def brute_force(acts, k):
  """Values, images and places, by sorting whole maps."""
  acts = np.asarray(acts)
  acts = acts.reshape(len(acts), *(acts.shape[1:-1] or (1, 1)), acts.shape[-1])
  found = []
  for c in range(acts.shape[-1]):
    peaks = [
      (-a[..., c].max(), i, *np.unravel_index(a[..., c].argmax(), a.shape[:2]))
      for i, a in enumerate(acts)
    ]
    found.append(sorted(peaks)[:k])
  found = np.array(found)
  return -found[..., 0], found[..., 1], found[..., 2:]


@pytest.fixture(params=[(23, 5, 4, 7), (23, 6)], ids=str)
def acts(request):
  x = jax.random.normal(jax.random.key(0), request.param)
  return jnp.round(x * 4)  # many are equal


@pytest.mark.parametrize('batch', [1, 5, 23])
def test_equals_brute_force_in_any_batches(acts, batch):
  state = probes.no_images(acts.shape[-1], 4)
  step = jax.jit(probes.strongest)
  for i in range(0, len(acts), batch):
    state = step(state, acts[i : i + batch], i)
  for got, wanted in zip(state, brute_force(acts, 4), strict=True):
    np.testing.assert_array_equal(got, wanted)


def test_parts_merge_to_the_whole(acts):
  none = probes.no_images(acts.shape[-1], 6)
  parts = [
    probes.strongest(none, acts[i : i + 9], first=i) for i in range(0, 23, 9)
  ]
  jax.tree.map(
    np.testing.assert_array_equal,
    functools.reduce(probes.merged, parts),
    probes.strongest(none, acts),
  )


def test_fewer_images_than_wanted():
  acts = jnp.array([[[[1.0, 2.0]]], [[[3.0, 0.0]]]])
  found = probes.strongest(probes.no_images(2, 3), acts, 7)
  assert found.images.tolist() == [[8, 7, -1], [7, 8, -1]]
  assert found.values.tolist() == [[3, 1, -jnp.inf], [2, 0, -jnp.inf]]


@pytest.mark.parametrize('bad', [jnp.nan, jnp.inf])
def test_an_image_that_is_not_finite_is_never_strong(bad):
  acts = jnp.zeros((3, 16, 16, 2)).at[1, 4, 5, 0].set(bad)
  found = jax.jit(probes.strongest)(probes.no_images(2, 3), acts)
  assert found.images.tolist() == [[0, 2, -1], [0, 1, 2]]
  assert found.places.tolist() == np.zeros((2, 3, 2)).tolist()


def test_wrong_arguments_are_named():
  none = probes.no_images(3, 2)
  for shape in [(4, 2), (2, 5, 3), (0, 3)]:
    with pytest.raises(ValueError, match='acts: got .* with 3 channels'):
      probes.strongest(none, jnp.zeros(shape))
  with pytest.raises(ValueError, match='channels: got 0'):
    probes.no_images(0, 2)
  with pytest.raises(ValueError, match='k: got 0'):
    probes.no_images(2, 0)


@pytest.mark.parametrize('layer', ['relu2_1', 'pool2', 'relu3_2'])
def test_the_crop_alone_gives_the_recorded_activation(minivgg, images, layer):
  """A unit sees its receptive field and nothing else."""
  net = minivgg
  acts = net(images)[1][layer]
  info = {row.name: row for row in nets.layer_info(net, 48)}[layer]
  field = info.field
  found = probes.strongest(probes.no_images(acts.shape[-1], 5), acts)
  checked = 0
  for k in range(0, acts.shape[-1], 5):
    for value, i, place in zip(*(v[k] for v in found), strict=True):
      (top, bottom), (left, right) = (field.pixels(int(p)) for p in place)
      if min(top, left) < 0 or max(bottom, right) > 48:
        continue  # it sees the border
      alone = jnp.full((1, 48, 48, 3), 0.5)
      alone = alone.at[0, top:bottom, left:right].set(
        images[int(i), top:bottom, left:right]
      )
      alone = net(alone)[1][layer][0, place[0], place[1], k]
      np.testing.assert_allclose(alone, value, rtol=1e-4, atol=1e-5)
      checked += 1
  assert checked > 10


def test_a_sum_beyond_the_largest_number_is_no_infinity():
  acts = jnp.full((2, 64, 64, 1), 40, jnp.float16)
  found = probes.strongest(probes.no_images(1, 2), acts)
  assert found.images.tolist() == [[0, 1]]
  assert found.values.tolist() == [[40, 40]]
