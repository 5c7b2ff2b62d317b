"""Similarity of representations: what two layers or networks have in common."""

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['linear_cka', 'svcca']


def linear_cka(a: Array, b: Array) -> Array:
  """Linear centred kernel alignment of two representations of the same images.

  ``||A^T B||^2 / (||A^T A|| ||B^T B||)`` of centred features (Frobenius norms):
  1 for features that differ by a rotation, a scale and a shift, 0 for features
  without correlation. Computed from ``[N, N]`` products over features, so that
  maps with many features are as fast as vectors.

  Args:
    a: Features ``[N, ...]``, such as the activations of a layer.
    b: Features ``[N, ...]`` of the same images in the same order, as many as
      there are.

  Returns:
    ``[]``, in [0, 1]; NaN if one of them is the same for all images.

  Raises:
    ValueError: Other numbers of images, or fewer than two.

  Reference:
    Kornblith et al. 2019 (Similarity of neural network representations
    revisited), equations 2 and 3.
  """
  a, b = _centred(a, b)
  first, second = (jnp.matmul(x, x.T, precision='highest') for x in (a, b))
  norms = jnp.linalg.norm(first) * jnp.linalg.norm(second)
  return jnp.vdot(first, second) / norms


def svcca(a: Array, b: Array, kept: float = 0.99) -> Array:
  """Mean canonical correlation of the directions that carry the variance.

  Each representation is reduced to the fewest singular directions that have the
  share ``kept`` of its variance; between those spaces, the canonical
  correlations are averaged.

  Args:
    a: Features ``[N, ...]``, such as the activations of a layer.
    b: Features ``[N, ...]`` of the same images in the same order. More images
      than features are needed: with as many directions as images all spaces are
      one.
    kept: Share of the variance, above 0 and at most 1.

  Returns:
    ``[]``, in [0, 1], the mean over the directions of the smaller space; NaN if
    one of them is the same for all images.

  Raises:
    ValueError: Other numbers of images, or fewer than two; or another share.

  Reference:
    Raghu et al. 2017 (SVCCA), section 2.
  """
  if not 0 < kept <= 1:
    raise ValueError(f'kept: got {kept}, expected above 0 and at most 1')
  spaces = [_space(x, kept) for x in _centred(a, b)]
  # Directions that are not kept are zero, and so are their correlations.
  shared = jnp.matmul(spaces[0].T, spaces[1], precision='highest')
  found = jnp.linalg.svd(shared, compute_uv=False)
  counts = [jnp.square(space).sum() for space in spaces]
  return found.sum() / jnp.round(jnp.minimum(*counts))


def _centred(a: Array, b: Array) -> tuple[Array, Array]:
  """Features ``[N, F]`` without their means."""
  if len(a) != len(b) or len(a) < 2:
    raise ValueError(
      f'a, b: got features of {len(a)} and {len(b)} images, expected as many, '
      'and at least 2'
    )
  flat = (jnp.asarray(x).reshape(len(x), -1) for x in (a, b))
  first, second = (x - x.mean(0, keepdims=True) for x in flat)
  return first, second


def _space(x: Array, kept: float) -> Array:
  """Orthonormal directions ``[N, K]`` of most of the variance, else zeros."""
  u, s, _ = jnp.linalg.svd(x, full_matrices=False)
  variance = jnp.square(s)
  share = variance / variance.sum()
  before = jnp.cumsum(share) - share
  # Directions of rounding errors are none.
  real = s > s.max() * x.dtype.type(len(x)) * jnp.finfo(x.dtype).eps
  return jnp.where(((before < kept) & real)[None], u, 0)
