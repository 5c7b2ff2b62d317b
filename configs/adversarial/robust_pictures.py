"""Pictures of a plain net and of a robust one, side by side.

Gradients, images on the way to a class, inversions without a prior and ways
from one image to another, with numbers (Tsipras et al. 2019; Engstrom et al.
2019).

Command:
  vizlab-run --config=adversarial/robust_pictures --workdir=runs/robust_pictures

Runtime: two minutes on 2 busy CPU cores. A run that is stopped or killed
resumes after the last picture.

Expected: report.html. Gradients of the robust net show the object alone, those
of the plain one textures and noise; led to other classes within a large ball,
the image of the robust net grows the points of a star or the arms of a cross,
that of the plain one noise. Inside the object are 49 % and 23 % of the
gradients, 15 % and 19 % of their power is fine detail, their cosine with the
image is 0.15 and 0.02. Inversions without a prior show shapes, and noise; their
errors are alike (1.58 and 1.44), as neither net knows the colours.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """The two nets that ship, on scenes."""
  config = ConfigDict()
  config.experiment = 'adversarial/robust_pictures'
  config.seed = 0
  config.net = blocks.net()
  config.robust = 'minivgg_robust'  # weights of the robust net
  config.labels = placeholder(str)  # JSON list of the names of the classes
  config.scenes = 64  # by which gradients are measured
  # A folder (or pattern) of photos instead, whose names begin with their class.
  config.photos = placeholder(str)
  config.shown = 6  # images of the pictures
  config.batch = 32  # images at once
  config.targets = ('star', 'crescent', 'cross')  # classes that images become
  config.radius = 12.0  # of the L2 ball in which they do
  config.steps = 100  # of that, and of inversions
  config.layer = 'relu5_2'  # that is inverted
  config.rate = 0.02  # of inversions, by Adam
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.robust = 'minivgg_random_labels'
  config.scenes, config.shown, config.batch = 3, 2, 2
  config.targets, config.steps = ('star',), 2
  return config


def sweep(add) -> None:
  """Radii within which images go to their classes."""
  add(add.product(radius=(3.0, 6.0, 24.0)))
