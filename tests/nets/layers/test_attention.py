"""Layers of transformers: slow replicas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.nets.layers import (
  GELU,
  Attend,
  AttentionWeights,
  Dense,
  LayerNorm,
  Token,
  Tokens,
)
from vizlab.rules import Rules


def run(layer, *xs, **params):
  """The output of a layer, whose shape is as stated."""
  y = layer(params, Rules(), *map(jnp.asarray, xs))
  assert y.shape[1:] == layer.out_shape(*(x.shape[1:] for x in xs))
  assert y.dtype == jnp.float32
  return np.asarray(y)


@pytest.fixture
def tokens():
  return np.random.default_rng(0).normal(size=(2, 1, 5, 12)).astype(np.float32)


def test_gelu():
  x = np.linspace(-4, 4, 9, dtype=np.float32).reshape(1, 1, 9, 1)
  wanted = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel()]
  np.testing.assert_allclose(run(GELU('gelu'), x).ravel(), wanted, atol=1e-6)


def test_layer_norm(tokens):
  random = np.random.default_rng(1)
  scale, bias = random.normal(size=(2, 12)).astype(np.float32)
  found = run(LayerNorm('ln', 0.1), tokens, scale=scale, bias=bias)
  for n, t in np.ndindex(2, 5):
    x = tokens[n, 0, t]
    y = (x - x.mean()) / np.sqrt(x.var() + 0.1) * scale + bias
    np.testing.assert_allclose(found[n, 0, t], y, rtol=1e-4, atol=1e-5)
  layer = LayerNorm('ln')
  assert layer.epsilon == 1e-6
  new = layer.init(jax.random.key(0), (1, 5, 12))
  assert new['scale'].tolist() == [1] * 12 and not new['bias'].any()
  assert layer.param_shapes((1, 5, 12)) == {'scale': (12,), 'bias': (12,)}


def test_layer_norm_of_vectors(tokens):
  ones = {'scale': np.ones(12, np.float32), 'bias': np.zeros(12, np.float32)}
  one = run(LayerNorm('ln'), tokens[:, 0, 0], **ones)
  np.testing.assert_array_equal(
    one, run(LayerNorm('ln'), tokens, **ones)[:, 0, 0]
  )


def test_attention_of_large_products_in_half_precision():
  x = jnp.full((1, 1, 3, 192), 40, jnp.float16)  # q k = 102,400
  found = AttentionWeights('weights', 1)({}, Rules(), x)
  assert found.dtype == jnp.float16
  np.testing.assert_allclose(found, 1 / 3, atol=1e-3)


def test_tokens_are_told_from_maps():
  for layer in (Token('t'), AttentionWeights('t', 1)):
    with pytest.raises(
      ValueError, match=r"'t' reads \(4, 4, 12\), expected tok"
    ):
      layer.out_shape((4, 4, 12))
  with pytest.raises(ValueError, match="index: got 9 for 't', expected 0 to 4"):
    Token('t', 9).out_shape((1, 5, 12))


def test_layer_norm_sums_half_precision_in_float32():
  x = 300 + np.random.default_rng(2).normal(size=(1, 1, 1, 512))
  x = jnp.asarray(x, jnp.bfloat16)
  ones = {'scale': jnp.ones(512), 'bias': jnp.zeros(512)}
  found = LayerNorm('ln')(ones, Rules(), x)
  wide = np.asarray(x, np.float32)
  wanted = (wide - wide.mean()) / wide.std()
  assert found.dtype == jnp.bfloat16
  np.testing.assert_allclose(np.asarray(found, np.float32), wanted, atol=0.02)


def test_tokens_are_rows_after_the_class_token():
  random = np.random.default_rng(3)
  x = random.normal(size=(2, 3, 3, 4)).astype(np.float32)
  token, places = random.normal(size=(1, 1, 4)), random.normal(size=(1, 10, 4))
  params = {
    'class_token': np.float32(token),
    'pos_embedding': np.float32(places),
  }
  layer = Tokens('tokens', 3)
  found = run(layer, x, **params)
  np.testing.assert_allclose(
    found[:, 0, 0], np.repeat(token[0] + places[0, :1], 2, 0), rtol=1e-5
  )
  for row, column in np.ndindex(3, 3):
    at = 1 + 3 * row + column
    np.testing.assert_allclose(
      found[:, 0, at], x[:, row, column] + places[0, at], rtol=1e-5
    )
  shapes = {k: v.shape for k, v in params.items()}
  assert layer.param_shapes((3, 3, 4)) == shapes
  new = layer.init(jax.random.key(0), (3, 3, 4))
  assert {k: v.shape for k, v in new.items()} == shapes
  assert not new['class_token'].any()
  assert 0.01 < float(new['pos_embedding'].std()) < 0.03


def test_places_of_another_size_lie_between_those_of_the_training():
  ramp = np.mgrid[:4, :4].astype(np.float32).transpose(1, 2, 0)  # row, column
  places = np.concatenate([np.full((1, 2), 9.0), ramp.reshape(16, 2)])
  params = {
    'class_token': np.zeros((1, 1, 2), np.float32),
    'pos_embedding': np.float32(places[None]),
  }
  found = run(Tokens('t', 4), np.zeros((1, 8, 6, 2), np.float32), **params)
  assert found[0, 0, 0].tolist() == [9, 9]
  grid = found[0, 0, 1:].reshape(8, 6, 2)
  # Centres of the finer rows, away from the ends, where a ramp stays one.
  rows = (np.arange(8) + 0.5) / 2 - 0.5
  columns = (np.arange(6) + 0.5) * 4 / 6 - 0.5
  np.testing.assert_allclose(grid[3:5, 2, 0], rows[3:5], atol=1e-5)
  np.testing.assert_allclose(grid[3, 2:4, 1], columns[2:4], atol=1e-5)


def test_embeddings_are_interpolated_by_keys_kernel():
  def keys(t, a=-0.5):
    t = abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))

  def matrix(new, old):
    centre = (np.arange(new) + 0.5) * old / new - 0.5
    weights = keys(centre[:, None] - np.arange(old))
    return weights / weights.sum(1, keepdims=True)

  random = np.random.default_rng(6)
  places = random.normal(size=(1, 26, 3)).astype(np.float32)
  token = np.zeros((1, 1, 3), np.float32)
  x = np.zeros((1, 8, 7, 3), np.float32)
  found = run(Tokens('t', 5), x, class_token=token, pos_embedding=places)
  square = places[0, 1:].reshape(5, 5, 3)
  wanted = np.einsum('ia,jb,abc->ijc', matrix(8, 5), matrix(7, 5), square)
  np.testing.assert_allclose(
    found[0, 0, 1:].reshape(8, 7, 3), wanted, atol=1e-5
  )


def test_attention(tokens):
  heads, d = 2, 2
  weights = run(AttentionWeights('weights', heads), tokens)
  found = run(Attend('values'), weights, tokens)
  for n, h in np.ndindex(2, heads):
    q, k, v = (
      tokens[n, 0, :, 4 * i + h * d : 4 * i + (h + 1) * d] for i in range(3)
    )
    fit = np.exp(q @ k.T / np.sqrt(d))
    share = fit / fit.sum(1, keepdims=True)
    np.testing.assert_allclose(weights[n, ..., h], share, rtol=1e-4)
    np.testing.assert_allclose(
      found[n, 0, :, h * d : (h + 1) * d], share @ v, rtol=1e-4, atol=1e-5
    )
  with pytest.raises(ValueError, match="heads: got 5 for 'weights', expected"):
    AttentionWeights('weights', 5).out_shape((1, 5, 12))


def test_one_token_and_dense_layers_of_each(tokens):
  np.testing.assert_array_equal(run(Token('class'), tokens), tokens[:, 0, 0])
  np.testing.assert_array_equal(run(Token('last', 4), tokens), tokens[:, 0, 4])
  kernel = np.random.default_rng(4).normal(size=(12, 3)).astype(np.float32)
  bias = np.float32([1, 2, 3])
  found = run(Dense('fc', 3), tokens, kernel=kernel, bias=bias)
  np.testing.assert_allclose(found, tokens @ kernel + bias, rtol=1e-4)
