"""Shape against texture: what decides where the two disagree."""

import dataclasses
import itertools
import pathlib
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import data, evaluate, nets, render
from vizlab.runs.inputs import (
  load_classifier,
  load_other,
  picture_paths,
  read_picture,
  shorter_side,
)
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_not_negative, need_positive
from vizlab_experiments.shared.styling import Job
from vizlab_experiments.shared.transfers import Transfer, check_settings

__all__ = ['prepare', 'run']

SCENES = 'scenes'
# Pictures of the report, and images that are judged at once.
_SHOWN, _BATCH = 12, 16

Labelled = tuple[str, int, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Conflicts:
  """Images whose shape says one category and whose texture another.

  Attributes:
    images: ``[N, H, W, 3]``.
    shapes: int ``[N]``, numbers of categories.
    textures: int ``[N]``.
  """

  images: np.ndarray
  shapes: np.ndarray
  textures: np.ndarray

  @property
  def cues(self) -> tuple[np.ndarray, np.ndarray]:
    """Shapes and textures."""
    return self.shapes, self.textures


class Pairs(NamedTuple):
  """Pictures to be painted, each in the style of one of another category.

  Attributes:
    job: How they are painted.
    pairs: A content and a style each: name, number of the category, picture.
  """

  job: Job
  pairs: list[tuple[Labelled, Labelled]]


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The settings.
    judged: The nets, by name.
    categories: Names of the categories that all nets know.
    groups: The classes of each category.
    conflicts: The images, or what they are painted from.
  """

  config: ConfigDict
  judged: dict[str, nets.Network]
  categories: list[str]
  groups: list[tuple[int, ...]]
  conflicts: Conflicts | Pairs


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  judged = {config.net.weights: load_classifier(config)}
  for name in listed(config.others):
    judged[name] = load_other(config, 'others', name)
  categories, groups = _categories(judged)
  conflicts = _conflicts(config, [*categories])
  return Inputs(config, judged, categories, groups, conflicts)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Judges the nets and writes the report."""
  config, judged, categories, groups, conflicts = inputs
  if isinstance(conflicts, Pairs):
    conflicts = _painted(config, recorder, conflicts)
  decisions = {
    name: np.asarray(_decisions(net, conflicts.images, groups))
    for name, net in judged.items()
  }
  biases = {
    name: evaluate.shape_bias(*map(jnp.asarray, (found, *conflicts.cues)))
    for name, found in decisions.items()
  }
  several, texts = _shown(conflicts, decisions, categories)
  recorder.report(
    'Shape against texture',
    f'{len(conflicts.images)} images whose shape and texture disagree. A net '
    'that goes by outlines names the shape of nearly all, one that goes by '
    'surfaces the texture: a shape bias of 1 or 0. People are at 0.96 (Geirhos '
    f'et al. 2019). {_in_words(biases)}',
    [
      Table(
        'shape_bias',
        'Decisions, and the share of those for the shape among those for '
        'either',
        ['net', 'shape', 'texture', 'shape bias'],
        [[name, *map(float, bias)] for name, bias in biases.items()],
      ),
      Figure('pictures', 'Some of the images, by number', several),
      Table(
        'decisions',
        'What was decided',
        ['', 'shape', 'texture', *decisions],
        texts,
      ),
    ],
  )
  return {
    f'{name}/{key}': float(value)
    for name, bias in biases.items()
    for key, value in bias._asdict().items()
    if np.isfinite(value)  # no bias of a net that decides for neither
  }


def _in_words(biases: dict[str, evaluate.Bias]) -> str:
  """Sentences on the cue that each net relies on."""
  said = []
  for name, found in biases.items():
    shape, texture, bias = map(float, found)
    if not np.isfinite(bias):
      said.append(f'{name} decides for neither in any of them.')
      continue
    cue = 'shape' if bias > 0.5 else 'texture' if bias < 0.5 else 'both alike'
    text = f'{name} goes by {cue}, with a shape bias of {bias:.2f}'
    if shape + texture < 0.5:
      text += f'; but it names one of the two in {shape + texture:.0%} only'
    said.append(f'{text}.')
  return ' '.join(said)


def _categories(
  judged: dict[str, nets.Network],
) -> tuple[list[str], list[tuple[int, ...]]]:
  """The categories that all nets know, and the classes of each."""
  counts = {
    name: nets.layer_info(net)[-1].shape[-1] for name, net in judged.items()
  }
  known = {
    len(data.SHAPE_NAMES): {k: (i,) for i, k in enumerate(data.SHAPE_NAMES)},
    1000: data.SIXTEEN,
  }
  for name, count in counts.items():
    if count not in known or count != next(iter(counts.values())):
      raise ValueError(
        f'config.net.weights, config.others: {name} has {count} classes, '
        'expected 1000 (of ImageNet) or 16 (shapes), all nets alike'
      )
  found = known[count]
  return [*found], [*found.values()]


def _conflicts(config: ConfigDict, categories: list[str]) -> Conflicts | Pairs:
  """The images that the config asks for, or what they are painted from."""
  if config.contents or config.styles:
    return _pairs(config, categories)
  if listed(config.images) != (SCENES,):
    return _named(config, categories)
  if categories != [*data.SHAPE_NAMES]:
    raise ValueError(
      "config.images: got 'scenes', which only nets of scenes know; expected "
      'pictures named as airplane1-clock2.png, or a folder of such'
    )
  need_positive(config, 'scenes')
  return _scenes(config)


def _scenes(config: ConfigDict) -> Conflicts:
  """Scenes of an object whose texture is not the one of its shape."""
  drawn = data.scenes(
    jax.random.key(config.seed), config.scenes, size=config.size
  )
  shapes, textures = (
    np.asarray(v[:, 0]) for v in (drawn.labels, drawn.textures)
  )
  keep = shapes != textures
  if not keep.any():
    raise ValueError(
      f'config.scenes: got {config.scenes}, among which no texture differs '
      'from that of the shape; expected more'
    )
  return Conflicts(np.asarray(drawn.image)[keep], shapes[keep], textures[keep])


def _named(config: ConfigDict, categories: list[str]) -> Conflicts:
  """Pictures whose names say what is on them: ``airplane1-clock2.png``."""
  found = []
  for path in picture_paths(config, 'images'):
    parts = pathlib.Path(path).stem.split('-')
    if len(parts) != 2:
      raise ValueError(
        f'config.images: got {path}, expected a name as airplane1-clock2.png'
      )
    cues = [_category('images', part, categories) for part in parts]
    if cues[0] == cues[1]:
      raise ValueError(
        f'config.images: got {path}, expected a texture of another category '
        'than the shape'
      )
    found.append((_read(config, 'images', path), *cues))
  return Conflicts(*map(np.array, zip(*found, strict=True)))


def _pairs(config: ConfigDict, categories: list[str]) -> Pairs:
  """Every content with every style of another category."""
  check_settings(config)
  need_not_negative(config, 'alpha')
  layers = {
    'content_layer': [config.content_layer],
    'style_layers': listed(config.style_layers),
  }
  job = Job(config, layers)
  contents, styles = (
    [
      (
        pathlib.Path(path).stem,
        _category(name, pathlib.Path(path).stem, categories),
        _read(config, name, path),
      )
      for path in picture_paths(config, name)
    ]
    for name in ('contents', 'styles')
  )
  for name, some in (('contents', contents), ('styles', styles)):
    stems = [stem for stem, *_ in some]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
      raise ValueError(
        f'config.{name}: got several pictures named {twice[0]}, expected names '
        'that tell them apart'
      )
  pairs = [
    (a, b) for a, b in itertools.product(contents, styles) if a[1] != b[1]
  ]
  if not pairs:
    raise ValueError(
      'config.contents, config.styles: got no two of different categories'
    )
  (_, _, content), (_, _, style) = pairs[0]
  Transfer(job, content, [style]).check()
  return Pairs(job, pairs)


def _painted(
  config: ConfigDict, recorder: Recorder, wanted: Pairs
) -> Conflicts:
  """Every content in the style of every picture of another category."""
  images = []
  for (one, _, content), (other, _, style) in wanted.pairs:
    name = f'{one}-{other}'
    transfer = Transfer(wanted.job, content, [style])
    image, _ = transfer.paint(recorder, name, config.alpha)
    recorder.picture(name, render.to_uint8(image))
    images.append(image)
  return Conflicts(
    np.stack(images),
    np.array([a[1] for a, _ in wanted.pairs]),
    np.array([b[1] for _, b in wanted.pairs]),
  )


def _category(name: str, text: str, categories: list[str]) -> int:
  """The number of the category that a name begins with: ``clock2``."""
  word = re.sub(r'[^a-z_].*$', '', text.lower()).rstrip('_')
  if word not in categories:
    raise ValueError(
      f'config.{name}: got {text!r}, expected a name that begins with one of '
      f'{categories}'
    )
  return categories.index(word)


def _read(config: ConfigDict, name: str, path: str) -> np.ndarray:
  shorter = shorter_side(path, config.size) if config.crop else config.size
  return read_picture(name, path, shorter=shorter, crop=config.size)


def _decisions(
  net: nets.Network, images: np.ndarray, groups: list[tuple[int, ...]]
) -> np.ndarray:
  read = jax.jit(lambda net, x: evaluate.decide(net(x)[0], groups))
  return np.concatenate(
    [read(net, images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
  )


def _shown(
  conflicts: Conflicts,
  decisions: dict[str, np.ndarray],
  categories: list[str],
) -> tuple[np.ndarray, list[list[str]]]:
  """The first images, and what was decided of each."""
  several = [render.to_uint8(x) for x in conflicts.images[:_SHOWN]]
  numbers = [str(i + 1) for i in range(len(several))]
  rows = [
    [
      numbers[i],
      *(categories[cue[i]] for cue in conflicts.cues),
      *(categories[found[i]] for found in decisions.values()),
    ]
    for i in range(len(several))
  ]
  return render.table([several], numbers, [''], 128), rows
