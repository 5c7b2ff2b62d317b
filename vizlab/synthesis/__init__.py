"""Images that are made: parameterisations, robustness, steps, and recipes."""

from vizlab.synthesis.augment import (
  compose,
  crop,
  jitter,
  noisy_crops,
  pad,
  resized_crop,
  robust,
  rotate,
  scale,
)
from vizlab.synthesis.augmentation import Augmentation, augment
from vizlab.synthesis.cppn import cppn
from vizlab.synthesis.dream import dream, mean_over_tiles, zoom
from vizlab.synthesis.fool import fool
from vizlab.synthesis.generated import generated
from vizlab.synthesis.images import (
  fourier,
  pixels,
  pyramid,
  shared,
)
from vizlab.synthesis.intensities import colour, noise, on_noise
from vizlab.synthesis.invert import (
  inversion,
  normalised_error,
  pair_distance,
)
from vizlab.synthesis.lbfgs import lbfgs
from vizlab.synthesis.maco import maco, opacity_of, track, tracked
from vizlab.synthesis.magnitudes import magnitude_of, photo_magnitude
from vizlab.synthesis.multiscale import coarse_to_fine, octave_sizes
from vizlab.synthesis.transforms import (
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
  'Augmentation',
  'augment',
  'ascent',
  'bilateral_every',
  'blur_every',
  'blur_gradient',
  'clip_small_contribution',
  'coarse_to_fine',
  'clip_small_norm',
  'decay',
  'colour',
  'compose',
  'cppn',
  'crop',
  'dream',
  'fool',
  'fourier',
  'generated',
  'inversion',
  'jitter',
  'laplacian_normalise',
  'lbfgs',
  'maco',
  'magnitude_of',
  'mean_over_tiles',
  'noise',
  'noisy_crops',
  'normalise',
  'normalised_error',
  'octave_sizes',
  'on_noise',
  'opacity_of',
  'pad',
  'pair_distance',
  'photo_magnitude',
  'pixels',
  'project',
  'pyramid',
  'resized_crop',
  'robust',
  'rotate',
  'scale',
  'shared',
  'track',
  'tracked',
  'zoom',
]
