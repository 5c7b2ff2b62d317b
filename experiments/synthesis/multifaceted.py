"""The facets of a unit: one image for each kind of picture that excites it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, optimize, render, rules, synthesis
from vizlab.objectives import Score, score
from vizlab.runs import plots
from vizlab.runs.inputs import check_layers, layer_info, load_net
from vizlab.runs.optimization import check, optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import named, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)
from vizlab_experiments.synthesis.visualize import unit

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  labelled: LabelledImages
  score_fn: Score
  shape: tuple[int, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  plots.need('sklearn', 'finds the facets')
  need_positive(config, 'steps', 'size', 'facets', 'top', 'near', 'batch')
  need_positive(config, 'learning_rate')
  net = load_net(config)
  for name in ('layer', 'codes'):
    check_layers(net, name, [config[name]])
  info = layer_info(net, config.layer)
  if not 0 <= config.channel < info.shape[-1]:
    raise ValueError(
      f'config.channel: got {config.channel}, expected 0 to '
      f'{info.shape[-1] - 1}'
    )
  labelled = load_labelled_images(config, net)
  if config.top > len(labelled.images) or config.facets > config.top - 1:
    raise ValueError(
      f'config.top, config.facets: got {config.top}, {config.facets}, expected '
      f'at most {len(labelled.images)} pictures, and fewer facets than pictures'
    )
  score_fn = score(net, unit(net, config.layer, np.int32(config.channel)))
  shape = (config.facets, config.size, config.size, 3)
  with named(x='size', shape='size'):
    check(
      score_fn, synthesis.fourier(shape), augment=synthesis.robust(config.size)
    )
  return Inputs(config, net, labelled, score_fn, shape)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Finds the facets, and makes an image of each."""
  config, net, labelled, score_fn, shape = inputs
  values, codes = _look(config, score_fn, labelled.images)
  best = np.argsort(-values, kind='stable')[: config.top]
  found = recorder.once('facets', lambda: _facets(config, codes[best]))
  groups = [best[near[near >= 0]] for near in found['near']]
  starts = np.stack([labelled.images[group].mean(0) for group in groups])
  starts = np.asarray(jax.image.resize(starts, shape, 'linear'))
  made = optimize_resumable(
    recorder,
    'images',
    score_fn.with_rules(relu=rules.redirected_relu),
    synthesis.fourier(shape, start=starts, noise=0.0),
    jax.random.key(config.seed),
    steps=config.steps,
    optimizer=optimize.adam(config.learning_rate),
    augment=synthesis.robust(config.size),
  )
  alike, note = _alike(
    codes[best], found['label'], _look(config, score_fn, made.images)[1]
  )
  sizes = np.bincount(found['label'], minlength=config.facets)
  table = _pictures(labelled.images, groups, starts, made.images, sizes)
  ends = zip(sizes, *made.ends, strict=True)
  recorder.report(
    f'Facets of channel {config.channel} of {config.layer} of {net.arch}',
    f'The {config.top} pictures of {len(labelled.images)} that excite it most, '
    f'by their activations in {config.codes}: principal components, t-SNE, '
    f'{config.facets} clusters by k-means. The mean of the {config.near} '
    'pictures nearest to a centre is where its image starts. The last picture '
    'of each row should show another kind of thing, that of the three pictures '
    'beside it; images that differ in colour and place only show one kind.'
    + note,
    [
      Figure('facets', 'A row a facet', table),
      Figure(
        'map',
        'The pictures by t-SNE, coloured by facet',
        plots.scatter(
          found['place'],
          found['label'],
          [f'facet {i + 1}' for i in range(config.facets)],
        ),
      ),
      Table(
        'facets',
        'The unit',
        ['facet', 'pictures', 'at the start', 'in the end'],
        [
          [i + 1, int(n), float(a), float(b)]
          for i, (n, a, b) in enumerate(ends)
        ],
      ),
    ],
  )
  return {
    'facets': config.facets,
    'risen': int((made.ends[1] > made.ends[0]).sum()),
    **alike,
  }


def _pictures(
  images: np.ndarray,
  groups: Sequence[np.ndarray],
  starts: np.ndarray,
  made: np.ndarray,
  sizes: np.ndarray,
) -> np.ndarray:
  """A row for each facet: three pictures, their mean and the facet."""
  rows = [
    [*images[np.resize(group, 3)], start, image]
    for group, start, image in zip(groups, starts, made, strict=True)
  ]
  return render.table(
    [[render.to_uint8(image) for image in row] for row in rows],
    ['a picture', 'another', 'a third', 'their mean', 'the facet'],
    [f'facet {i + 1}\n{n} pictures' for i, n in enumerate(sizes)],
    min(224, made.shape[-2] + 32),
  )


def _look(
  config: ConfigDict, score_fn: Score, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """The unit's value ``[N]`` and the codes ``[N, D]`` of pictures."""

  @jax.jit
  def look(score_fn: Score, x: Array) -> tuple[Array, Array]:
    logits, acts = score_fn.net(x)
    codes = acts[config.codes]
    codes = codes if codes.ndim == 2 else codes.mean((1, 2))
    return score_fn.read(logits, acts), codes

  found = [
    look(score_fn, images[i : i + config.batch])
    for i in range(0, len(images), config.batch)
  ]
  return tuple(
    np.concatenate([np.asarray(v) for v in each])
    for each in zip(*found, strict=True)
  )


def _alike(
  codes: np.ndarray, label: np.ndarray, images: np.ndarray
) -> tuple[dict[str, float], str]:
  """Similarity of facets, as figures and in words.

  Args:
    codes: Of the best pictures, ``[N, D]``.
    label: The facet of each, ``[N]``.
    images: Codes of the images of the facets, ``[F, D]``.

  Returns:
    The mean cosine of the codes of two facets' images, and of two pictures of
    different facets; and whether the images differ less than the pictures.
  """
  apart = ~np.eye(len(images), dtype=bool), label[:, None] != label[None]
  if not all(some.any() for some in apart):
    return {}, ''
  means = [
    float(_cosines(x)[some].mean())
    for x, some in zip((images, codes), apart, strict=True)
  ]
  ours, theirs = means
  verdict = 'alike' if ours > theirs else 'unlike each other'
  text = (
    f' Here the facets are {verdict}: the mean cosine of two images by these '
    f'activations is {ours:.3f}, of two pictures of different facets '
    f'{theirs:.3f}.'
  )
  return {'alike_images': ours, 'alike_pictures': theirs}, text


def _cosines(codes: np.ndarray) -> np.ndarray:
  """Cosines of all pairs of rows."""
  norms = np.linalg.norm(codes, axis=1, keepdims=True)
  unit_codes = codes / np.maximum(norms, 1e-12)
  return unit_codes @ unit_codes.T


def _facets(config: ConfigDict, codes: np.ndarray) -> dict[str, np.ndarray]:
  """Places ``[N, 2]``, clusters ``[N]``, and those nearest to each centre."""
  from sklearn.cluster import KMeans
  from sklearn.decomposition import PCA
  from sklearn.manifold import TSNE

  n = len(codes)
  reduced = PCA(min(50, n, codes.shape[1]), random_state=config.seed)
  place = TSNE(
    2,
    perplexity=min(30.0, (n - 1) / 3),
    init='pca',
    random_state=config.seed,
  ).fit_transform(reduced.fit_transform(codes.astype(np.float64)))
  cluster = KMeans(config.facets, n_init=10, random_state=config.seed)
  label = cluster.fit_predict(place)
  apart = np.linalg.norm(
    place[:, None] - cluster.cluster_centers_[None], axis=2
  )
  # The mean of those nearest, but of no other cluster's pictures.
  apart = np.where(label[:, None] == np.arange(config.facets), apart, np.inf)
  order = np.argsort(apart, 0, kind='stable')[: config.near]
  small = np.isinf(np.take_along_axis(apart, order, 0))
  return {
    'place': place,
    'label': label,
    'near': np.where(small, -1, order).T,  # -1 where a cluster has fewer
  }
