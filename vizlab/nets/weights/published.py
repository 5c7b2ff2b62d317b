"""Networks by name: those that ship with vizlab, and published weights."""

import os
import pathlib
from importlib import resources
from urllib.parse import urlsplit

from vizlab import io
from vizlab.lookup import check_name, did_you_mean
from vizlab.nets.architectures.catalog import names
from vizlab.nets.weights.sources import SOURCES

__all__ = ['EMBEDDED', 'cached_path', 'check_source', 'fetch', 'weight_file']

EMBEDDED = (
  'minivgg',
  'minivgg_random_labels',
  'minivgg_robust',
  'fast_style_paintings',
  'super_resolution_pixel',
)


def weight_file(name: str | os.PathLike) -> pathlib.Path | None:
  """File of a network's name; None if it has none, or not yet.

  Args:
    name: A network that ships with vizlab, or one of `vizlab.nets.SOURCES`
      that `vizlab.nets.load` has downloaded.
  """
  if name in EMBEDDED:
    folder = pathlib.Path(str(resources.files('vizlab.nets.weights'))) / 'data'
    return folder / f'{name}.safetensors'
  if name in SOURCES and (path := cached_path(name)).exists():
    return path
  return None


def cached_path(name: str) -> pathlib.Path:
  """Path in the cache of published weights, in vizlab's format.

  Args:
    name: One of `vizlab.nets.SOURCES`.
  """
  file = name.replace('/', '-')
  return io.cache_dir() / 'weights' / f'{file}.safetensors'


def fetch(name: str) -> pathlib.Path:
  """Downloads published weights to the cache; an earlier part is continued.

  Args:
    name: One of `vizlab.nets.SOURCES`.

  Returns:
    The path of the publisher's file, whose checksum is right.

  Raises:
    ValueError: A package that reads the file is missing, or it cannot be
      downloaded.
  """
  source = SOURCES[name]
  path = cached_path(name)
  path = path.with_name(
    f'{path.stem}-published{pathlib.PurePath(urlsplit(source.url).path).suffix}'
  )
  io.check_reader(path)
  with io.progress_bar(name) as progress:
    return io.download(
      source.url, path, sha256=source.sha256, progress=progress
    )


def check_source(source: str | os.PathLike) -> None:
  """Raises a `ValueError` for a word that is not a name of a network."""
  if not isinstance(source, str):
    return
  publisher, slash, arch = source.partition('/')
  if pathlib.PurePath(source).suffix in io.FORMATS or source in EMBEDDED:
    return
  if slash:
    if publisher.lower() in {name.partition('/')[0] for name in SOURCES}:
      check_name('source', source, SOURCES)
    return
  known = [*EMBEDDED, *(name for name in names() if name not in EMBEDDED)]
  hint = '' if source in known else did_you_mean(source, known)
  found = [
    name
    for name, each in SOURCES.items()
    if each.arch.startswith(source) or name.endswith(f'/{source}')
  ]
  if found:
    hint = f'; published weights are {", ".join(map(repr, found))}'
  if source in names():
    hint += f'; nets.create({source!r}) draws random ones'
  raise ValueError(
    f'source: got {source!r}, expected a weight file, one of nets.SOURCES or '
    f'one of {EMBEDDED}{hint}'
  )
