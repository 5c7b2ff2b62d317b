"""Layouts of data in the plane, and the features that are laid out."""

import numpy as np

from vizlab import probes
from vizlab.types import Array

__all__ = ['METHODS', 'in_the_plane', 'pooled']

METHODS = {'tsne': 't-SNE', 'pca': 'principal components'}
_PRINCIPAL = 50  # components that are kept before t-SNE


def in_the_plane(
  method: str, x: np.ndarray, perplexity: float, seed: int
) -> np.ndarray:
  """Lays rows ``[N, D]`` out by one of `METHODS`: ``[N, 2]``."""
  x = x.astype(np.float64)
  if method == 'pca':
    return probes.principal(x)
  from sklearn.manifold import TSNE

  tsne = TSNE(2, perplexity=perplexity, init='pca', random_state=seed)
  return tsne.fit_transform(probes.principal(x, min(_PRINCIPAL, *x.shape)))


def pooled(a: Array) -> Array:
  """Features ``[B, C]`` of a layer; of a map, means over its positions."""
  return a if a.ndim == 2 else a.mean((1, 2))
