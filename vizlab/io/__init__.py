"""File and network access."""

from vizlab.io.download import cache_dir, download, progress_bar
from vizlab.io.files import (
  alone,
  lock,
  sha256,
  write_atomic,
  write_json,
  write_text,
)
from vizlab.io.images import read_image, samples, write_gif, write_png
from vizlab.io.tensors import check_reader, read_tensors, write_tensors

__all__ = [
  'alone',
  'cache_dir',
  'check_reader',
  'download',
  'lock',
  'progress_bar',
  'read_image',
  'read_tensors',
  'samples',
  'sha256',
  'write_atomic',
  'write_gif',
  'write_json',
  'write_png',
  'write_tensors',
  'write_text',
]
