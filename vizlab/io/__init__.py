"""File and network access."""

from vizlab.io.download import cache_dir, download
from vizlab.io.files import (
  lock,
  sha256,
  write_atomic,
  write_json,
  write_text,
)
from vizlab.io.images import read_image, samples, write_gif, write_png
from vizlab.io.tensors import read_tensors, write_tensors

__all__ = [
  'cache_dir',
  'download',
  'lock',
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
