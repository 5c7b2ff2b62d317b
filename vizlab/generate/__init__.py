"""Networks that make images of images: use, styles, losses and artefacts.

The networks themselves are those of `vizlab.nets` (``fast_style``,
``super_resolution_x4``): an image goes in, and the last activation is an image.
"""

from vizlab.generate.artefacts import border_contrast, grid_energy
from vizlab.generate.diversity import diversity
from vizlab.generate.perceptual import feature_loss, perceptual_loss
from vizlab.generate.sampling import Samples, sample
from vizlab.generate.transform import transformed, with_style

__all__ = [
  'Samples',
  'border_contrast',
  'diversity',
  'feature_loss',
  'grid_energy',
  'perceptual_loss',
  'sample',
  'transformed',
  'with_style',
]
