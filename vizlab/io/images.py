"""Reading and writing of images and pictures."""

import os
import pathlib
from collections.abc import Sequence
from importlib import resources

import numpy as np
from PIL import Image, ImageOps

from vizlab.io.files import write_atomic
from vizlab.lookup import check_name
from vizlab.types import check_picture

__all__ = ['read_image', 'samples', 'write_gif', 'write_png']

_SAMPLE = 'sample:'
_LONGEST = 16384  # pixels


def samples() -> tuple[str, ...]:
  """Names of the images that ship with vizlab, for ``sample:NAME``."""
  folder = resources.files('vizlab.io') / 'samples'
  return tuple(
    sorted(
      file.name.removesuffix('.png')
      for file in folder.iterdir()
      if file.name.endswith('.png')
    )
  )


def read_image(
  source: str | os.PathLike,
  *,
  shorter: int | None = None,
  crop: int | None = None,
) -> np.ndarray:
  """Reads an image of any mode and depth.

  Converts grey, palette and 16-bit images to RGB, composes transparent images
  on white, and applies the EXIF orientation.

  Args:
    source: A path, or ``sample:NAME`` for an image that ships with vizlab.
    shorter: Length in pixels to which the shorter side is resized (bilinear
      with antialiasing) before the crop. ``None`` does not resize.
    crop: Side in pixels of the square cut from the centre. ``None`` does not
      crop.

  Returns:
    float32 ``[H, W, 3]``, RGB in [0, 1].

  Raises:
    ValueError: The file is missing, damaged or not an image, or it is smaller
      than the crop.
  """
  for name, side in (('shorter', shorter), ('crop', crop)):
    if side is not None and side < 1:
      raise ValueError(f'{name}: got {side}, expected at least 1 pixel')
  image = _open(_locate(source), str(source))
  if shorter is not None:
    image = _resize_shorter(image, shorter, source)
  if crop is not None:
    width, height = image.size
    if min(width, height) < crop:
      raise ValueError(
        f'image: {source} has {width}x{height} pixels, expected at least '
        f'{crop}x{crop} for the crop'
      )
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    image = image.crop((left, top, left + crop, top + crop))
  return np.asarray(image, np.float32) / 255


def write_png(path: str | os.PathLike, picture: np.ndarray) -> pathlib.Path:
  """Writes a uint8 picture ``[H, W, 3]`` or ``[H, W]`` as PNG, atomically."""
  check_picture(picture, 'picture')
  image = Image.fromarray(picture)
  return write_atomic(path, lambda file: image.save(file, 'PNG'))


def write_gif(
  path: str | os.PathLike, frames: Sequence[np.ndarray], *, seconds: float = 0.1
) -> pathlib.Path:
  """Writes uint8 pictures ``[H, W, 3]`` as a looping GIF, atomically.

  Args:
    path: Path of the file.
    frames: One or more pictures of one size.
    seconds: Duration of each frame.

  Raises:
    ValueError: There is no frame, or their sizes differ.
  """
  if len({np.shape(frame) for frame in frames}) != 1:
    raise ValueError(
      f'frames: got {len(frames)} of shapes '
      f'{sorted({np.shape(frame) for frame in frames})}, expected one size'
    )
  for frame in frames:
    check_picture(frame, 'frames')
  first, *rest = (Image.fromarray(frame) for frame in frames)
  return write_atomic(
    path,
    lambda file: first.save(
      file,
      'GIF',
      save_all=True,
      append_images=rest,
      duration=round(1000 * seconds),
      loop=0,
    ),
  )


def _locate(source: str | os.PathLike) -> pathlib.Path:
  text = str(source)
  if not text:
    raise ValueError("image: got '', expected a file or sample:NAME")
  if not text.startswith(_SAMPLE):
    return pathlib.Path(text).expanduser()
  name = text.removeprefix(_SAMPLE)
  check_name('image', text, [_SAMPLE + known for known in samples()])
  return pathlib.Path(
    str(resources.files('vizlab.io') / 'samples' / f'{name}.png')
  )


def _open(path: pathlib.Path, name: str) -> Image.Image:
  """Opens an image as 8-bit RGB in its EXIF orientation."""
  if not path.is_file():
    if path.is_dir():
      raise ValueError(f'image: is a folder, expected a picture: {name}')
    raise ValueError(f'image: no such file: {name}')
  try:
    with Image.open(path) as file:
      file.load()
      image = ImageOps.exif_transpose(file)
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
    reason = ' '.join(str(e).split())[:200]
    raise ValueError(f'image: cannot read {name}: {reason}') from e
  if image.mode.startswith('I'):  # 16 bits per channel
    return _from_deep(np.asarray(image, np.float64) / 65535, name)
  if image.mode == 'F':
    return _from_deep(np.asarray(image, np.float64), name)
  if image.has_transparency_data:
    image = image.convert('RGBA')
    white = Image.new('RGBA', image.size, 'white')
    image = Image.alpha_composite(white, image)
  return image.convert('RGB')


def _from_deep(grey: np.ndarray, name: str) -> Image.Image:
  """Converts grey values in [0, 1] to 8-bit RGB."""
  if not (np.isfinite(grey).all() and 0 <= grey.min() and grey.max() <= 1):
    raise ValueError(f'image: {name} has float pixels outside [0, 1]')
  return Image.fromarray((grey * 255).round().astype(np.uint8)).convert('RGB')


def _resize_shorter(
  image: Image.Image, side: int, source: str | os.PathLike
) -> Image.Image:
  width, height = image.size
  scale = side / min(width, height)
  if scale * max(width, height) > _LONGEST:
    raise ValueError(
      f'image: {source} has {width}x{height} pixels, too thin for a shorter '
      f'side of {side}: the longer one would exceed {_LONGEST}'
    )
  size = (
    max(side, int(width * scale)) if width >= height else side,
    max(side, int(height * scale)) if height > width else side,
  )
  return image.resize(size, Image.Resampling.BILINEAR)
