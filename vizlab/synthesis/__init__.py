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
from vizlab.synthesis.images import (
  fourier,
  maco,
  magnitude_of,
  pixels,
  pyramid,
)
from vizlab.synthesis.step_rules import (
  bilateral_every,
  blur_every,
  blur_gradient,
  clip_small_contribution,
  clip_small_norm,
  laplacian_normalise,
  normalise,
  project,
)

__all__ = [
  'AXES',
  'bilateral_every',
  'blur_every',
  'blur_gradient',
  'clip_small_contribution',
  'clip_small_norm',
  'colour',
  'colour_axes',
  'compose',
  'cppn',
  'crop',
  'fourier',
  'from_rgb',
  'jitter',
  'laplacian_normalise',
  'maco',
  'magnitude_of',
  'normalise',
  'on_noise',
  'pad',
  'pixels',
  'project',
  'pyramid',
  'robust',
  'rotate',
  'scale',
  'to_rgb',
]
