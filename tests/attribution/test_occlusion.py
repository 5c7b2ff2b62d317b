import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.attribution import Occluder, occlusion, occlusion_scores
from vizlab.objectives import probability, score, top_label, total


def places(n, patch, stride):
  count = -(-(n - patch) // stride) + 1
  return [slice(i * stride, min(i * stride + patch, n)) for i in range(count)]


@pytest.mark.parametrize(('patch', 'stride'), [(4, 4), (5, 3), (12, 1), (1, 1)])
def test_linear_score_falls_by_the_patch(patch, stride, linear):
  fn, weight = linear
  x = jax.random.uniform(jax.random.key(0), (2, *weight.shape))
  fill = np.array([0.1, 0.5, 0.9], np.float32)
  seen = occlusion_scores(fn, x, patch=patch, stride=stride, fill=fill, chunk=7)
  part = np.asarray(weight) * (np.asarray(x) - fill)
  for r, rows in enumerate(places(12, patch, stride)):
    for c, columns in enumerate(places(16, patch, stride)):
      fall = part[:, rows, columns].sum((1, 2, 3))
      np.testing.assert_allclose(fn(x) - seen[:, r, c], fall, atol=2e-4)


@pytest.mark.parametrize(('patch', 'stride'), [(4, 4), (5, 3), (7, 2)])
def test_map_is_the_mean_of_the_falls_that_cover_a_pixel(patch, stride, linear):
  fn, weight = linear
  x = jax.random.uniform(jax.random.key(0), (1, *weight.shape))
  seen = occlusion_scores(fn, x, patch=patch, stride=stride)
  fall = np.asarray(fn(x)[:, None, None] - seen)[0]
  total_fall, count = np.zeros((12, 16)), np.zeros((12, 16))
  for r, rows in enumerate(places(12, patch, stride)):
    for c, columns in enumerate(places(16, patch, stride)):
      total_fall[rows, columns] += fall[r, c]
      count[rows, columns] += 1
  got = occlusion(fn, x, patch=patch, stride=stride)[0]
  np.testing.assert_allclose(got, total_fall / count, atol=1e-4)


@pytest.mark.parametrize('net', ['tiny', 'function'])
def test_maps_of_some_places_add_up_to_the_whole(net, tiny):
  """With one program, though there are 25 places: the last part has three."""
  asked = score(tiny, probability(2))
  asked = asked if net == 'tiny' else jax.tree_util.Partial(asked)
  x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
  settings = {'patch': 4, 'stride': 3, 'chunk': 6}
  seen = jax.jit(lambda x: occlusion_scores(asked, x, **settings))(x)
  some = jax.jit(lambda x, p: occlusion_scores(asked, x, **settings, places=p))
  np.testing.assert_allclose(
    some(x, jnp.array([24, 3, 3, 7])),
    seen.reshape(2, 25)[:, [24, 3, 3, 7]],
    atol=1e-6,
  )
  whole = jax.jit(lambda x: occlusion(asked, x, **settings))(x)
  part = jax.jit(lambda x, p: occlusion(asked, x, **settings, places=p))
  parts = [part(x, i + jnp.arange(11)) for i in (0, 11, 22)]
  assert part._cache_size() == 1
  assert float(jnp.abs(parts[2][:, :9]).max()) == 0, 'its places lie below'
  np.testing.assert_allclose(sum(parts), whole, atol=1e-6)
  assert float(jnp.abs(whole).max()) > 1e-4


def test_the_three_records_of_the_paper(tiny, images):
  records = occlusion_scores(
    score(
      tiny,
      {
        'probability': probability(2),
        'label': top_label(),
        'activation': total('relu2', 5),
      },
    ),
    images,
    patch=16,
    stride=16,
    fill=0.0,
    chunk=4,
  )
  covered = images.at[:, 16:32, 32:48].set(0.0)
  logits, acts = tiny(covered)
  np.testing.assert_allclose(
    records['probability'][:, 1, 2], jax.nn.softmax(logits)[:, 2], rtol=1e-5
  )
  np.testing.assert_array_equal(records['label'][:, 1, 2], logits.argmax(-1))
  np.testing.assert_allclose(
    records['activation'][:, 1, 2],
    acts['relu2'][..., 5].sum((1, 2)),
    rtol=1e-5,
  )
  assert records['label'].dtype == jnp.int32


def test_what_is_recorded_may_have_axes_of_its_own(tiny, images):
  settings = {'patch': 16, 'stride': 16, 'fill': 0.0, 'chunk': 4}
  found = occlusion_scores(lambda x: tiny(x)[0], images, **settings)
  assert found.shape[:3] == (5, 3, 3)
  covered = images.at[:, 16:32, 32:48].set(0.0)
  np.testing.assert_allclose(found[:, 1, 2], tiny(covered)[0], rtol=1e-5)


def test_fill_may_be_an_image(linear):
  fn, weight = linear
  x = jax.random.uniform(jax.random.key(0), (1, *weight.shape))
  got = occlusion(fn, x, patch=6, stride=5, fill=x)
  np.testing.assert_allclose(got, 0, atol=1e-5)


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'patch': 17}, 'patch: got 17, expected at most the image side of 12'),
    ({'patch': 0}, 'patch: got 0, expected at least 1'),
    ({'patch': 4, 'stride': 5}, 'stride: got 5, expected 1 to the patch of 4'),
    ({'patch': 4, 'stride': 0}, 'stride: got 0'),
    ({'patch': 4, 'stride': 4, 'chunk': 0}, 'chunk: got 0'),
    ({'patch': 4, 'stride': 4, 'fill': [0.1, 0.2]}, r'fill: got shape \(2,\)'),
  ],
)
def test_wrong_settings_are_named(settings, message, linear):
  fn, weight = linear
  with pytest.raises(ValueError, match=message):
    occlusion(fn, jnp.zeros((1, *weight.shape)), **settings)


def test_an_occluder_covers_every_pixel():
  for n in range(5, 24):
    occluder = Occluder(5, 3)
    cover = [occluder.inside(jnp.array(i), n) for i in range(occluder.count(n))]
    assert np.any(cover, axis=0).all()
    assert not np.any(cover[:-1], axis=0).all(), 'the last one is needed'
