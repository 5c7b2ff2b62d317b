"""Image processing: colour, filters, descriptors, statistics of maps."""

from vizlab.image.checks import as_image, check_images
from vizlab.image.colour import (
  AXES,
  colour_axes,
  from_rgb,
  grey,
  luminance,
  match_colours,
  match_luminance,
  to_rgb,
  video_luma,
  with_colours_of,
)
from vizlab.image.descriptors import Descriptor, as_net, hog, sift
from vizlab.image.filters import (
  bands,
  bicubic,
  bilateral,
  blur,
  fewer_bits,
  frequencies,
  median,
  rescale,
  resize,
  sum_of_bands,
  tilt,
)
from vizlab.image.scaling import max_abs_scale, minmax_scale
from vizlab.image.statistics import Moments, covariance, gram, moments

__all__ = [
  'AXES',
  'Descriptor',
  'Moments',
  'as_image',
  'as_net',
  'bands',
  'bicubic',
  'bilateral',
  'blur',
  'check_images',
  'colour_axes',
  'covariance',
  'fewer_bits',
  'frequencies',
  'from_rgb',
  'gram',
  'grey',
  'hog',
  'luminance',
  'match_colours',
  'match_luminance',
  'max_abs_scale',
  'median',
  'minmax_scale',
  'moments',
  'rescale',
  'resize',
  'sift',
  'sum_of_bands',
  'tilt',
  'to_rgb',
  'video_luma',
  'with_colours_of',
]
