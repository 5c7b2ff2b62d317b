"""A linear net: what attacks do to it is known in closed form."""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

SHAPE = (6, 5, 3)


def _apply(weights, bias, x, edits=None):
  logits = jnp.einsum('...hwc,hwck->...k', x, weights)
  return logits + jnp.expand_dims(bias, range(logits.ndim - 1)), {}


def linear_net(seed=0, classes=4, bias=None):
  """The net and its weights ``[H, W, C, K]``."""
  weights = jax.random.normal(jax.random.key(seed), (*SHAPE, classes))
  bias = jnp.zeros(classes) if bias is None else bias
  return Partial(_apply, weights, bias), weights


def greys(key, count, spread=0.1):
  """Images far from 0 and 1, so that only the ball bounds an attack."""
  x = jax.random.uniform(jax.random.key(key), (count, *SHAPE))
  return 0.5 + spread * (x - 0.5)
