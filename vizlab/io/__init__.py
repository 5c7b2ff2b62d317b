"""File and network access."""

from vizlab.io.download import cache_dir, download, progress_bar
from vizlab.io.files import (
  exclusive,
  lock,
  sha256,
  write_atomic,
  write_json,
  write_text,
)
from vizlab.io.images import read_image, samples, write_gif, write_png
from vizlab.io.tensors import (
  FORMATS,
  check_reader,
  read_header,
  read_tensors,
  write_tensors,
)

__all__ = [
  'FORMATS',
  'cache_dir',
  'check_reader',
  'download',
  'exclusive',
  'lock',
  'progress_bar',
  'read_header',
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
