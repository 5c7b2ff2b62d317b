"""Converts trained weights to vizlab's format, from a file or a download.

  vizlab-convert --arch=vgg19 --source=vgg19.pth --out=vgg19.safetensors \
    [--half] [--preprocess=caffe]
  vizlab-convert --download=torchvision/vgg19 --out=vgg19.safetensors

Reads torchvision's names (.safetensors, .pth) and Keras' names (.h5). Reading
.pth and .h5 needs an extra: pip install -e '.[weights]'.
"""

import pathlib

from absl import flags, logging
from tqdm import tqdm

from vizlab import io, nets
from vizlab.lookup import check_name

__all__ = ['fetch', 'main']

ARCH = flags.DEFINE_string('arch', None, 'Architecture; detected by default.')
SOURCE = flags.DEFINE_string('source', None, 'The file to convert.')
DOWNLOAD = flags.DEFINE_string(
  'download',
  None,
  f'Weights to download instead, one of: {", ".join(nets.SOURCES)}.',
)
OUT = flags.DEFINE_string('out', None, 'The .safetensors file to write.')
HALF = flags.DEFINE_bool('half', False, 'Store as float16.')
PREPROCESS = flags.DEFINE_enum(
  'preprocess', None, ['caffe', 'torchvision'], 'Preprocessing of the network.'
)


def fetch(name: str) -> tuple[pathlib.Path, str]:
  """Downloads published weights to the cache; returns path and architecture."""
  check_name('download', name, nets.SOURCES)
  source = nets.SOURCES[name]
  publisher = name.partition('/')[0]
  file = f'{publisher}-{source.arch}{pathlib.Path(source.url).suffix}'
  with tqdm(desc=name, unit='B', unit_scale=True) as bar:

    def progress(done: int, total: int | None) -> None:
      bar.total = total
      bar.update(done - bar.n)

    path = io.download(
      source.url,
      io.cache_dir() / 'weights' / file,
      sha256=source.sha256,
      progress=progress,
    )
  return path, source.arch


def main(argv: list[str]) -> None:
  """Reads weights, checks them and writes them."""
  logging.set_verbosity(logging.WARNING)  # hides JAX's messages on accelerators
  if argv[1:]:
    raise ValueError(f'got {argv[1:]}, expected only --flags')
  if OUT.value is None:
    raise ValueError('out: got none, expected --out=FILE.safetensors')
  if (SOURCE.value is None) == (DOWNLOAD.value is None):
    raise ValueError('expected one of --source=FILE and --download=NAME')
  if pathlib.Path(OUT.value).suffix != '.safetensors':
    raise ValueError(f'out: got {OUT.value}, expected a name in .safetensors')
  source, arch = SOURCE.value, ARCH.value
  if DOWNLOAD.value:
    source, published = fetch(DOWNLOAD.value)
    arch = arch or published
  net = nets.load(source, arch=arch, preprocess=PREPROCESS.value)
  try:
    nets.save(net, OUT.value, source=source, half=HALF.value)
  except OSError as error:
    raise ValueError(
      f'out: cannot write {OUT.value}: {error.strerror}'
    ) from error
  count = nets.param_count(net)
  print(f'{OUT.value}: {net.arch}, {count:,} parameters, {net.spec}')
