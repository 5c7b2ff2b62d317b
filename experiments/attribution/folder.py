"""Explains every photo of a folder, batch by batch, and can be killed.

Several processes share the batches out (see `vizlab.runs.distributed`). A shard
is the same whoever wrote it, so a run may go on with another number of them.
"""

import contextlib
import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import io, nets, render
from vizlab.data.folder import Batch, folder, photos
from vizlab.runs import distributed, stopping
from vizlab.runs.devices import on_every_device, replicate, shard
from vizlab.runs.inputs import shorter_side
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import named, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.classes import class_names
from vizlab_experiments.shared.methods import (
  METHODS,
  Explaining,
  Options,
  every_class,
  load_explaining,
)

__all__ = ['SHARED', 'prepare', 'run']

# Several processes may work on one run.
SHARED = True

_SAMPLES = 'sample:'


@dataclasses.dataclass(frozen=True)
class Job:
  """Photos of a run and the methods that explain them.

  Attributes:
    config: The config.
    recorder: Of the work directory, which holds a shard a batch.
    net: The net.
    methods: Names of methods.
    options: Their settings.
    files: Names of all files of the folder, in order.
    stream: The folder's batches, from batch ``start`` on.
  """

  config: ConfigDict
  recorder: Recorder
  net: nets.Network
  methods: tuple[str, ...]
  options: Options
  files: tuple[str, ...]
  stream: Callable[..., Iterator[Batch]]

  @property
  def shards(self) -> list[str]:
    """Names of the items of the run, one for each batch."""
    count = math.ceil(len(self.files) / self.config.batch_size)
    return [f'maps-{k:05d}' for k in range(count)]

  def batch(self, k: int) -> list[str]:
    """The files of a batch."""
    size = self.config.batch_size
    return list(self.files[k * size : (k + 1) * size])


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  explaining: Explaining
  names: Sequence[str]
  files: tuple[str, ...]
  stream: Callable[..., Iterator[Batch]]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'shown')
  explaining = load_explaining(config)
  names = class_names(config, explaining.net)
  files, stream = _folder(config, explaining.net)
  return Inputs(config, explaining, names, files, stream)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Explains the photos of the config's folder and writes a report."""
  config, explaining, names, files, stream = inputs
  net, methods, options, left_out = explaining
  job = Job(config, recorder, net, methods, options, files, stream)
  _check_shards(job)
  distributed.together('explain', lambda: _explain(job))
  index, skipped = _index(job)
  results = {
    'photos': sum(map(len, index.values())),
    'skipped': len(skipped),
    'shards': len(index),
  }

  def write() -> None:
    with stopping.writing():
      io.write_json(recorder.workdir / 'index.json', index)
    recorder.report(
      f'A folder explained by {net.arch}',
      f'Photos explained: {results["photos"]}; files that could not be read: '
      f'{len(skipped)}. The maps are in {len(index)} shards, maps-00000.npz '
      'and so on, and index.json tells which photo is in which. The picture '
      'shows the first photos, one row for each class that is explained.'
      + left_out,
      [*_contact(job, names), *_skipped(skipped)],
    )

  distributed.together('report', None if jax.process_index() else write)
  return results


def _folder(
  config: ConfigDict, net: nets.Network
) -> tuple[tuple[str, ...], Callable[..., Iterator[Batch]]]:
  """All files of the folder, and how to stream them."""
  if not config.folder:  # not the working directory
    raise ValueError("config.folder: got '', expected a folder of photos")
  path = pathlib.Path(config.folder)
  if config.folder == _SAMPLES:
    path = pathlib.Path(io.__file__).parent / 'samples'
  stream = functools.partial(
    folder,
    path,
    size=net.spec.size,
    shorter=shorter_side(config.folder, net.spec.size),
    batch_size=config.batch_size,
    workers=config.workers,
  )
  with named(path='folder', batch_size='batch_size', workers='workers'):
    stream()  # tells what is wrong, before anything is written
    return photos(path), stream


def _check_shards(job: Job) -> None:
  """Raises unless the shards of an earlier run are of the same files."""
  wanted = {name: job.batch(k) for k, name in enumerate(job.shards)}
  for path in sorted(job.recorder.workdir.glob('maps-*.npz')):
    known = path.stem in wanted
    old = _read(job, path.stem, 'names', 'skipped') if known else {}
    if not old or sorted(old['names'] + old['skipped']) != wanted[path.stem]:
      raise ValueError(
        f'config.folder: {job.config.folder} holds other files than when this '
        f'run wrote {path.name}; choose another work directory, or start again '
        'with --overwrite'
      )


def _explain(job: Job) -> None:
  """Writes the shards of this process that are not there."""
  shards, rows = job.shards, min(job.config.batch_size, len(job.files))
  mine = distributed.mine(len(shards))
  first = next((k for k in mine if not job.recorder.has(shards[k])), None)
  if first is None:
    return
  net = replicate(job.net)
  predict, explain = _programs(job.config.classes, job.methods, job.options)
  bar = tqdm(total=len(mine), initial=mine.index(first), desc='batches')
  left = job.stream(start=first, step=mine.step)
  with contextlib.closing(left) as stream, bar:
    for shard_name, batch in zip(
      shards[first :: mine.step], stream, strict=True
    ):
      stopping.check()
      distributed.check()
      if not job.recorder.has(shard_name):
        n, x = len(batch.images), shard(batch.images, rows)
        chances, targets = predict(net, x)
        maps = {name: fn(net, x, targets) for name, fn in explain.items()}
        job.recorder.arrays(
          shard_name,
          names=np.array(batch.names, str),
          skipped=np.array([name for name, _ in batch.skipped], str),
          reasons=np.array([reason for _, reason in batch.skipped], str),
          targets=np.asarray(targets)[:n],
          probabilities=np.asarray(chances)[:n],
          **{
            name: _packed(np.asarray(values)[:n], job.config.half)
            for name, values in maps.items()
          },
        )
      bar.update()


@functools.lru_cache(maxsize=2)  # two runs in a process compile once
def _programs(
  classes: int, methods: tuple[str, ...], options: Options
) -> tuple[Callable[..., Any], dict[str, Callable[..., Array]]]:
  """Programs that predict the most probable classes and explain them."""
  explain = {
    name: on_every_device(every_class(METHODS[name], options))
    for name in methods
  }
  return on_every_device(functools.partial(_top, classes)), explain


def _top(classes: int, net: nets.Network, x: Array) -> tuple[Array, Array]:
  """The probabilities of the most probable classes, and these classes."""
  chances, targets = jax.lax.top_k(jax.nn.softmax(net(x)[0]), classes)
  return chances, targets


def _packed(maps: np.ndarray, half: bool) -> np.ndarray:
  """Maps ``[B, E, ...]`` in float16, where that holds them.

  A rounded map is off by at most 1/2000 of its largest value. Where one is too
  large or too faint for that, all of the batch stay float32.
  """
  top = np.abs(maps).max(axis=tuple(range(2, maps.ndim)))
  known = np.finfo(np.float16)
  fits = (top == 0) | ((top >= known.smallest_normal) & (top <= known.max))
  return maps.astype(np.float16) if half and fits.all() else maps


def _read(job: Job, shard_name: str, *names: str) -> dict[str, Any]:
  """Some arrays of a shard, those of texts as lists."""
  with np.load(job.recorder.workdir / f'{shard_name}.npz') as file:
    arrays = {name: file[name] for name in names}
  return {
    name: value.tolist() if value.dtype.kind == 'U' else value
    for name, value in arrays.items()
  }


def _index(job: Job) -> tuple[dict[str, list[str]], list[list[str]]]:
  """The photos of each shard; and name and reason of what was skipped."""
  index, skipped = {}, []
  for name in job.shards:
    part = _read(job, name, 'names', 'skipped', 'reasons')
    index[f'{name}.npz'] = part['names']
    skipped += zip(part['skipped'], part['reasons'], strict=True)
  return index, [[_shown(text) for text in row] for row in skipped]


def _skipped(rows: list[list[str]]) -> list[Table]:
  if not rows:
    return []
  return [
    Table('unread', 'Files that could not be read', ['file', 'reason'], rows)
  ]


def _contact(job: Job, names: list[str]) -> list[Figure | Table]:
  """The first photos with their maps, read from the shards.

  So they are the same after a kill. Nothing where no photo could be read.
  """
  pictures, lines, labels = [], [], []
  for name, image, part in _first(job):
    chances = part['probabilities'].tolist()
    for j, k in enumerate(part['targets']):
      pictures.append(
        [
          METHODS[m].show(part[m][j].astype(np.float32), image)
          for m in job.methods
        ]
      )
      pictures[-1].insert(0, render.to_uint8(image))
      lines.append([_shown(name), names[k], chances[j]])
      short = _shown(pathlib.PurePosixPath(name).stem)
      short = short if len(short) <= 24 else f'{short[:21]}...'
      labels.append(f'{short}\n{names[k]}\n{chances[j]:.1%}')
  if not pictures:
    return []
  side = max(128, job.net.spec.size - 24)
  columns = ['photo', *job.methods]
  sheet = render.table(pictures, columns, labels, side, PAGE)
  at = f'The first photos, explained by {job.net.arch}'
  caption = 'The classes that are explained in them'
  return [
    Figure('photos', f'{at}; Grad-CAM at {job.options.layer}', sheet),
    Table('classes', caption, ['photo', 'class', 'probability'], lines),
  ]


def _first(job: Job) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
  """Name, image and shard's row of each of the first photos."""
  left = job.config.shown
  keys = 'targets', 'probabilities', *job.methods
  with contextlib.closing(job.stream()) as stream:
    for shard_name, batch in zip(job.shards, stream, strict=True):
      names = _read(job, shard_name, 'names')['names']
      part = _read(job, shard_name, *keys)
      images = dict(zip(batch.names, batch.images, strict=True))
      for i, name in enumerate(names):
        if name in images and left:  # it may have been damaged since
          left -= 1
          yield name, images[name], {key: part[key][i] for key in keys}
      if not left:
        return


def _shown(text: str) -> str:
  """A text that can be written: a file's name may be no Unicode."""
  return text.encode(errors='replace').decode()
