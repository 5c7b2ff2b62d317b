"""CAM, Grad-CAM++, HiResCAM, LayerCAM and Score-CAM against numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import attribution
from vizlab.attribution.cam import upsample, weigh
from vizlab.objectives import channel, logit, neuron, probability, score

LAYER = 'relu4_2'


@pytest.fixture(scope='module')
def asked(minivgg):
  return score(minivgg, logit(jnp.array([2, 13, 0, 1, 5])))


@pytest.fixture(scope='module')
def parts(asked, images):
  a, g = attribution.activation_and_gradient(asked, images, LAYER)
  return np.asarray(a, np.float64), np.asarray(g, np.float64)


def close(a, b, tolerance=1e-5):
  top = np.abs(b).max()
  assert top > 0
  np.testing.assert_allclose(a / top, b / top, atol=tolerance)


def test_grad_cam_pp_is_the_sum_of_the_paper(asked, images, parts):
  a, g = parts
  expected = np.zeros(a.shape[:-1])
  for b, i, j, k in np.argwhere(g != 0):
    alpha = g[b, i, j, k] ** 2 / (
      2 * g[b, i, j, k] ** 2 + a[b, ..., k].sum() * g[b, i, j, k] ** 3
    )
    expected[b] += alpha * max(g[b, i, j, k], 0) * a[b, ..., k]
  grad_cam_pp = jax.jit(
    functools.partial(attribution.grad_cam_pp, layer=LAYER, resize=False)
  )
  close(grad_cam_pp(asked, images), np.maximum(expected, 0), 1e-4)


def test_hires_cam_and_layer_cam_weigh_every_place(asked, images, parts):
  a, g = parts
  hires = attribution.hires_cam(
    asked, images, layer=LAYER, resize=False, rectify=False
  )
  close(hires, (a * g).sum(-1))
  layer = attribution.layer_cam(asked, images, layer=LAYER, resize=False)
  close(layer, (a * np.maximum(g, 0)).sum(-1))


def test_hires_cam_is_exact_where_the_rest_is_linear(asked, images):
  """Behind relu5_2 there are only the mean and the classifier."""
  shares = attribution.hires_cam(
    asked, images, layer='relu5_2', resize=False, rectify=False
  )
  bias = asked.net.params['fc']['bias'][...][asked.objective.target]
  close(shares.sum((1, 2)) + bias, asked(images))


def test_cam_is_the_classifiers_weights(asked, images):
  a = asked.net(images)[1]['relu5_2']
  weight = asked.net.params['fc']['kernel'][...].T[asked.objective.target]
  got = attribution.cam(
    asked, images, layer='relu5_2', pooled='gap', resize=False
  )
  close(got, jnp.einsum('bhwk,bk->bhw', a, weight, precision='highest'))
  places = a.shape[1] * a.shape[2]
  grad_cam = attribution.grad_cam(
    asked, images, layer='relu5_2', rectify=False, resize=False
  )
  close(got, grad_cam * places)


def test_cam_needs_the_layer_that_is_pooled(asked, images):
  with pytest.raises(ValueError, match=r"pooled: got 'fc' of shape"):
    attribution.cam(asked, images, layer='relu5_2', pooled='fc')
  with pytest.raises(ValueError, match="pooled: got 'relu5_1' of"):
    attribution.cam(asked, images, layer='relu5_2', pooled='relu5_1')
  with pytest.raises(ValueError, match="layer: 'gap' gives a vector"):
    attribution.cam(asked, images, layer='gap', pooled='gap')


@pytest.mark.parametrize('baseline', [0.0, np.array([0.2, 0.5, 0.7])], ids=str)
def test_score_cam_is_the_loop_of_the_paper(baseline, minivgg, images):
  x, layer = images[:2], 'relu5_2'
  asked = score(minivgg, probability(jnp.array([2, 13])))
  got = attribution.score_cam(
    asked, x, layer=layer, baseline=baseline, resize=False, chunk=10
  )
  a = np.asarray(minivgg(x)[1][layer])
  enlarged = jax.jit(lambda a: upsample(a, (48, 48)))
  maps = [enlarged(a[..., k]) for k in range(a.shape[-1])]
  masks = []
  for m in np.stack(maps):
    low, high = m.min((1, 2), keepdims=True), m.max((1, 2), keepdims=True)
    masks.append((m - low) / np.where(high > low, high - low, 1))
  masks = np.stack(masks)[..., None]
  seen = jax.jit(lambda asked, x: asked(x))
  x0 = np.broadcast_to(np.float32(baseline), x.shape)
  y = np.stack([seen(asked, x0 + m * (np.asarray(x) - x0)) for m in masks])
  weight = np.exp(y - y.max(0)) / np.exp(y - y.max(0)).sum(0)
  close(got, np.maximum(np.einsum('kb,bhwk->bhw', weight, a), 0))


def test_score_cam_runs_only_maps_that_mark_something(minivgg, images):
  """A map that is zero everywhere costs no forward: 8 of 128 are left."""
  runs = []

  class Counting:
    def __call__(self, x, edits=None):
      jax.debug.callback(lambda: runs.append(1))
      logits, acts = minivgg(x, edits)
      alive = jnp.arange(acts['relu5_2'].shape[-1]) < 8
      a = jnp.where(alive[None, None, None], acts['relu5_2'], 0)
      acts['relu5_2'] = a.at[:, 0, 0, :8].add(1.0)
      return logits, acts

  attribution.score_cam(
    score(Counting(), logit(0)), images[:1], layer='relu5_2', chunk=4
  ).block_until_ready()
  jax.effects_barrier()
  assert len(runs) <= 2 + 8


def test_a_flat_map_marks_nothing_in_score_cam_though_upsampling_rounds():
  """It is run, since it marks something in the other image of the batch."""
  ramp = jnp.linspace(0.0, 1.0, 3)[None] * jnp.ones((3, 1))
  flat = jnp.full((3, 3), 0.1)
  large = np.asarray(upsample(flat, (7, 10)))
  assert large.max() > large.min(), 'or there would be nothing to see'
  maps = jnp.stack([jnp.stack([flat, ramp]), jnp.stack([ramp, ramp.T])])

  def net(x, edits=None):
    return None, {'maps': jnp.moveaxis(maps, 1, -1)}

  def light(logits, acts):
    return acts['seen']

  def seeing(x, edits=None):
    acts = net(x)[1] | {'seen': x.mean((-3, -2, -1))}
    return None, acts

  got = attribution.score_cam(
    score(seeing, light), jnp.ones((2, 7, 10, 3)), layer='maps', resize=False
  )
  means = [np.asarray(upsample(m, (7, 10))).mean() for m in (ramp, ramp.T)]
  for i, y in enumerate(([0.0, means[0]], means)):
    weight = np.exp(y) / np.exp(y).sum()
    expected = np.einsum('k,khw->hw', weight, np.asarray(maps[i]))
    np.testing.assert_allclose(got[i], expected, atol=1e-5)


def test_score_cam_may_be_differentiated(minivgg, images):
  def total(x):
    return attribution.score_cam(
      score(minivgg, logit(3)), x, layer='relu5_2', chunk=64
    ).sum()

  slope = jax.jit(jax.grad(total))(images[:1])
  assert jnp.isfinite(slope).all() and slope.any()


@pytest.mark.parametrize('unit', [1e-18, 1e14])
def test_grad_cam_pp_does_not_over_or_underflow(unit, minivgg, images):
  small, plain = (
    attribution.grad_cam_pp(
      score(minivgg, weight * logit(3)), images[:1], layer=LAYER
    )
    for weight in (unit, 1.0)
  )
  assert plain.any()
  a, _ = attribution.activation_and_gradient(
    score(minivgg, logit(3)), images[:1], LAYER
  )
  assert jnp.isfinite(small).all() and small.any()
  if unit < 1:  # alpha is 1/2 there
    g = attribution.activation_and_gradient(
      score(minivgg, logit(3)), images[:1], LAYER
    )[1]
    weight = jnp.maximum(g, 0).sum((1, 2), keepdims=True) / 2
    expected = weigh(a, weight, images[:1], True, True)
    close(small / unit, expected)


@pytest.mark.parametrize(
  'objective',
  [
    channel('relu5_1', 3),
    neuron('relu5_1', 3, (1, 2)),
    logit(2) - logit(13),
    logit(2) - 0.5 * channel('relu5_1', 3),
  ],
  ids=['channel', 'neuron', 'difference', 'mixed'],
)
def test_any_objective(objective, minivgg, images):
  asked = score(minivgg, objective)
  a, g = attribution.activation_and_gradient(asked, images[:1], LAYER)
  got = attribution.layer_cam(asked, images[:1], layer=LAYER, resize=False)
  np.testing.assert_allclose(got, (a * jnp.maximum(g, 0)).sum(-1), atol=1e-5)
  parts = attribution.full_gradient(asked, images[:1])
  close(parts.sum(), asked(images[:1]), 1e-4)
