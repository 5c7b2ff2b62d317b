"""Sanity checks: does a map change when the net forgets what it learned?

Command:
  vizlab-run --config=attribution/sanity --workdir=runs/sanity

Layers are randomised from the top, or one at a time, and a net that learned
random labels by heart (training/minivgg:random_labels) is compared with the one
that learned shapes. Needs matplotlib: pip install -e '.[analysis]'.

Runtime: about 15 minutes on 2 CPU cores (25 on busy ones). A run that is
stopped or killed resumes after the last randomised layer and batch of pictures.

Expected: report.html with who passed. Of the parameters: guided backprop, the
deconvnet and Guided Grad-CAM fail (SSIM 0.85, 0.71 and 0.74 with the upper half
of the net random), all others pass (0.22 to 0.37), as Adebayo et al. found. The
maps of two different pictures are 0.49, 0.42 and 0.67 alike by SSIM, so that
Guided Grad-CAM fails for being empty more than for standing still; its rank and
HOG correlations (0.24, 0.38) say that it moves. Of the labels: gradients,
SmoothGrad, Integrated Gradients, FullGrad, the deconvnet and occlusion pass;
the CAMs fail (0.77): with one object in a scene both nets look at it, and a
coarse map shows no more than that.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """32 scenes with minivgg."""
  config = ConfigDict()
  config.experiment = 'attribution/sanity'
  config.seed = 0
  config.net = blocks.net()
  # The net that learned random labels: shipped, or a file; none.
  config.random_labels = placeholder(str)
  config.random_labels = 'minivgg_random_labels'
  config.learned = ConfigDict()  # the scenes that it learned by heart
  config.learned.seed = 0
  config.learned.scenes = 512
  config.learned.size = 64
  config.scenes = 32  # scenes of two objects, the first one explained
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.methods = (
    'gradient',
    'gradient_x_input',
    'smoothgrad',
    'integrated_gradients',
    'deconvnet',
    'guided_backprop',
    'guided_grad_cam',
    'fullgrad',
    'cam',
    'grad_cam',
    'grad_cam_pp',
    'hires_cam',
    'layer_cam',
    'score_cam',
    'occlusion',
  )  # or 'all'
  blocks.explaining(config, samples=16, chunk=64)
  config.batch = 32  # pictures explained at once
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes = config.batch = 2
  config.methods = ('gradient', 'grad_cam')
  return config


def sweep(add) -> None:
  """Other scenes and other random weights."""
  add(add.product(seed=(0, 1, 2)))
