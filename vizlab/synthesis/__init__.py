"""Images that are made: parameterisations, robustness, steps, and recipes."""

from vizlab.synthesis.augment import (
  colour,
  compose,
  crop,
  jitter,
  on_noise,
  pad,
  robust,
  rotate,
  scale,
)
from vizlab.synthesis.colours import AXES, colour_axes, from_rgb, to_rgb
from vizlab.synthesis.cppn import cppn
from vizlab.synthesis.dream import dream, octave_sizes, tiled, zoom
from vizlab.synthesis.fool import fool
from vizlab.synthesis.images import (
  fourier,
  maco,
  magnitude_of,
  pixels,
  pyramid,
)
from vizlab.synthesis.invert import (
  inversion,
  normalised_error,
  pair_distance,
)
from vizlab.synthesis.lbfgs import lbfgs
from vizlab.synthesis.step_rules import (
  ascent,
  bilateral_every,
  blur_every,
  blur_gradient,
  clip_small_contribution,
  clip_small_norm,
  decay,
  laplacian_normalise,
  normalise,
  project,
)

__all__ = [
  'AXES',
  'ascent',
  'bilateral_every',
  'blur_every',
  'blur_gradient',
  'clip_small_contribution',
  'clip_small_norm',
  'decay',
  'colour',
  'colour_axes',
  'compose',
  'cppn',
  'crop',
  'dream',
  'fool',
  'fourier',
  'from_rgb',
  'inversion',
  'jitter',
  'laplacian_normalise',
  'lbfgs',
  'maco',
  'magnitude_of',
  'normalise',
  'normalised_error',
  'octave_sizes',
  'on_noise',
  'pad',
  'pair_distance',
  'pixels',
  'project',
  'pyramid',
  'robust',
  'rotate',
  'scale',
  'tiled',
  'to_rgb',
  'zoom',
]
