"""Layouts of data in the plane, and the features that are laid out."""

import numpy as np
from ml_collections import ConfigDict

from vizlab import probes
from vizlab.runs import plots
from vizlab.runs.settings import each_of, need_positive
from vizlab.types import Array

__all__ = ['METHODS', 'check_method', 'in_the_plane', 'pooled']

METHODS = {'tsne': 't-SNE', 'pca': 'principal components', 'umap': 'UMAP'}
_PRINCIPAL = 50  # components that are kept before t-SNE and UMAP


def check_method(config: ConfigDict, count: int) -> None:
  """Checks the settings of a layout of so many points."""
  each_of('config.method', [config.method], METHODS)
  if config.method == 'umap':
    plots.need('umap', 'lays the pictures out', 'umap')
  need_positive(config, 'perplexity')
  if config.method != 'pca' and not 1 < config.perplexity < count:
    raise ValueError(
      f'config.perplexity: got {config.perplexity}, expected above 1 and '
      f'below the {count} points'
    )


def in_the_plane(config: ConfigDict, x: np.ndarray) -> np.ndarray:
  """Lays rows ``[N, D]`` out by the method of the settings: ``[N, 2]``."""
  x = x.astype(np.float64)
  if config.method == 'pca':
    return probes.principal(x)
  if config.method == 'umap':
    from umap import UMAP

    # One thread, so that the seed decides.
    layout = UMAP(round(config.perplexity), random_state=config.seed, n_jobs=1)
  else:
    from sklearn.manifold import TSNE

    layout = TSNE(
      2, perplexity=config.perplexity, init='pca', random_state=config.seed
    )
  return layout.fit_transform(probes.principal(x, min(_PRINCIPAL, *x.shape)))


def pooled(a: Array) -> Array:
  """Features ``[B, C]`` of a layer; of a map, means over its positions."""
  return a if a.ndim == 2 else a.mean((1, 2))
