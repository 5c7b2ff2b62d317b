"""Networks, layers and images that settings name; errors name the setting."""

import glob
import pathlib
from collections.abc import Iterable

import numpy as np
from ml_collections import ConfigDict

from vizlab import data, io, nets, rules
from vizlab.runs.experiments import load_file
from vizlab.runs.settings import listed, named

__all__ = [
  'check_layers',
  'found_pictures',
  'layer_info',
  'load_classifier',
  'load_net',
  'load_other',
  'picture_paths',
  'read_picture',
  'read_square',
  'shorter_side',
]


def load_net(config: ConfigDict) -> nets.Network | nets.FunctionNet:
  """Loads the network of ``config.net``.

  A Python file as ``config.net.weights`` has a function ``load_net()`` that
  returns a network, such as one of `vizlab.nets.from_function`.
  """
  net = config.net
  if str(net.weights).endswith('.py'):
    return _load_own(net)
  parts = 'arch', 'preprocess', 'pool', 'dtype'
  weights = dict.fromkeys(('source', 'path', 'url'), 'net.weights')
  with named(**weights, **{part: f'net.{part}' for part in parts}):
    return nets.load(
      net.weights,
      arch=net.arch or None,
      preprocess=net.preprocess or None,
      pool=net.pool,
      dtype=_dtype(net),
    )


def _load_own(net: ConfigDict) -> nets.Network | nets.FunctionNet:
  """Loads the network that a Python file returns."""
  for name in ('arch', 'preprocess'):
    if net[name]:
      raise ValueError(
        f'config.net.{name}: got {net[name]!r}, expected none for the network '
        f'of {net.weights}'
      )
  if not pathlib.Path(net.weights).is_file():
    raise ValueError(
      f'config.net.weights: got {net.weights!r}, expected a file that exists'
    )
  module = load_file(net.weights, 'own_net')
  if not callable(getattr(module, 'load_net', None)):
    raise ValueError(
      f'config.net.weights: {net.weights} has no function load_net(), expected '
      'one that returns a network'
    )
  own = module.load_net()
  if not isinstance(own, nets.Network | nets.FunctionNet):
    raise ValueError(
      f'config.net.weights: load_net() of {net.weights} returned a '
      f'{type(own).__name__}, expected a network, such as one of '
      'nets.from_function'
    )
  if net.pool == 'avg':
    own = rules.with_rules(own, pool=rules.avg_pool)
  if _dtype(net) is None:
    return own
  with named(net='net.weights', dtype='net.dtype'):
    return nets.with_dtype(own, net.dtype)


def _dtype(net: ConfigDict) -> str | None:
  """The dtype of the layers; ``None`` for that of the images, float32."""
  return None if net.dtype == 'float32' else net.dtype


def load_classifier(config: ConfigDict) -> nets.Network:
  """Loads the network of ``config.net``, which must have a classifier."""
  return _classifier(load_net(config), 'net.weights', config.net.weights)


def load_other(config: ConfigDict, name: str, weights: str) -> nets.Network:
  """Loads another network, which must have a classifier.

  It pools and computes as that of ``config.net``.

  Args:
    config: Settings of the experiment.
    name: Name of the setting that holds ``weights``, for errors.
    weights: A file of weights, or the name of a network that ships with vizlab.
  """
  with named(source=name, path=name, pool='net.pool', dtype='net.dtype'):
    pool, dtype = config.net.pool, _dtype(config.net)
    net = nets.load(weights, pool=pool, dtype=dtype)
  return _classifier(net, name, weights)


def _classifier(net: nets.Network, name: str, weights: str) -> nets.Network:
  if not net.has_classifier:
    raise ValueError(
      f'config.{name}: {weights} holds no classifier, expected a network with '
      'classes'
    )
  return net


def check_layers(net: nets.Network, name: str, layers: Iterable[str]) -> None:
  """Raises a `ValueError` unless the network has the layers of a setting."""
  with named(layer=name):
    nets.check_layers(net, layers)


def layer_info(
  net: nets.Network, layer: str, size: int | None = None
) -> nets.LayerInfo:
  """Shape and receptive field of a layer, for images of ``size`` pixels."""
  nets.check_layers(net, [layer])
  return next(row for row in nets.layer_info(net, size) if row.name == layer)


def picture_paths(config: ConfigDict, name: str) -> tuple[str, ...]:
  """Lists the images that a setting names.

  Each part is a path, ``sample:NAME``, a folder (all images in it) or a pattern
  such as ``photos/*.jpg``. The files of a folder or pattern are sorted.

  Raises:
    ValueError: There is no image, or a folder or pattern has none.
  """
  paths = [path for part in listed(config[name]) for path in _found(name, part)]
  if not paths:
    raise ValueError(
      f'config.{name}: got none, expected comma-separated images, folders or '
      'patterns'
    )
  return tuple(paths)


def found_pictures(part: str) -> list[str]:
  """Lists the images that a path, ``sample:NAME``, folder or pattern names.

  Raises:
    ValueError: A folder or pattern has no image.
  """
  path = pathlib.Path(part).expanduser()
  if path.is_dir():
    return [str(path / inside) for inside in data.photos(path)]
  if part.startswith('sample:') or path.exists() or not glob.has_magic(part):
    return [part]
  matches = sorted(glob.glob(str(path), recursive=True))
  if not (
    files := [match for match in matches if pathlib.Path(match).is_file()]
  ):
    raise ValueError(f'path: got {part!r}, which no file matches')
  return files


def _found(name: str, part: str) -> list[str]:
  with named(path=name):
    return found_pictures(part)


def read_picture(
  name: str,
  source: str,
  *,
  shorter: int | None = None,
  crop: int | None = None,
) -> np.ndarray:
  """Reads an image; errors name the setting ``name``."""
  with named(image=name, shorter='size', crop='size'):
    return io.read_image(source, shorter=shorter, crop=crop)


def read_square(name: str, source: str, size: int) -> np.ndarray:
  """Reads the central square of an image, of ``size`` pixels per side."""
  shorter = shorter_side(source, size)
  return read_picture(name, source, shorter=shorter, crop=size)


def shorter_side(source: str, size: int) -> int:
  """Length of a photo's shorter side before a square of ``size`` is cropped.

  The samples of vizlab are resized to ``size`` itself.
  """
  return size if source.startswith('sample:') else round(size * 8 / 7)
