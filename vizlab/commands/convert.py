"""Converts trained weights to vizlab's format, from a file or a download.

  vizlab-convert --arch=vgg19 --source=vgg19.pth --out=vgg19.safetensors \
    [--half] [--preprocess=caffe]
  vizlab-convert --download=torchvision/vgg19 --out=vgg19.safetensors

Reads torchvision's names (.safetensors, .pth), Keras' (.h5) and Caffe's files
(.caffemodel). Reading .pth and .h5 needs an extra:
pip install -e '.[weights]'.
"""

import pathlib

from absl import flags, logging

from vizlab import nets
from vizlab.lookup import check_name

__all__ = ['main']

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
  if DOWNLOAD.value:
    check_name('download', DOWNLOAD.value, nets.SOURCES)
  source = SOURCE.value or DOWNLOAD.value
  net = nets.load(source, arch=ARCH.value, preprocess=PREPROCESS.value)
  file = nets.weight_file(source) or source
  try:
    nets.save(net, OUT.value, source=file, half=HALF.value)
  except OSError as error:
    raise ValueError(
      f'out: cannot write {OUT.value}: {error.strerror}'
    ) from error
  count = nets.param_count(net)
  print(f'{OUT.value}: {net.arch}, {count:,} parameters, {net.spec}')
