"""Judges the attribution methods: by known masks, and by what scores do.

Commands:
  vizlab-run --config=attribution/judge --workdir=runs/judge
  vizlab-run --config=attribution/judge:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.photos=FOLDER \\
    --workdir=runs/judge_vgg19

The folder holds photos whose names begin with the number of their class, such
as 282_cat.png. Needs matplotlib: pip install -e '.[analysis]'.

Runtime: 35 minutes on 2 busy CPU cores, 27 of them for the last four methods.
VGG-19 on 22 photos: 43 minutes beside other work. A run that is stopped or
killed resumes after the last batch of pictures of a method.

Expected: report.html with the table, the curves and pictures. On 1,024 scenes
the peak lies inside the object that is asked about in 69 % for Score-CAM, 65 %
for CAM, Grad-CAM and HiResCAM, 62 % for guided backprop, 60 % for occlusion, 53
% for Integrated Gradients, 20 % for saliency and 7 % for SmoothGrad, whose
usual noise is too much for this net (a flat map: 6 %); of Guided Grad-CAM 54 %
lies inside and 1 % on the other object. Deletion leaves a mean probability of
0.04 for CAM, Grad-CAM and occlusion, 0.13 for saliency.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """1,024 scenes with minivgg; ``vgg19`` and others, labelled photos."""
  config = ConfigDict()
  config.experiment = 'attribution/judge'
  config.seed = 0
  config.net = blocks.net()
  config.scenes = 1024  # scenes of two objects, both explained
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.methods = (
    'saliency',
    'gradient_x_input',
    'deconvnet',
    'guided_backprop',
    'fullgrad',
    'cam',
    'grad_cam',
    'grad_cam_pp',
    'hires_cam',
    'layer_cam',
    'guided_grad_cam',
    'occlusion',
    'smoothgrad',
    'integrated_gradients',
    'score_cam',
  )  # or 'all'; the slow ones come last
  blocks.explaining(config, samples=16, chunk=64)
  config.faithful = 64  # pictures that are judged by their scores, too
  config.steps = 16  # of deletion and insertion
  config.changes = 4  # small changes of a picture, for the sensitivity
  config.batch = 64  # pictures explained at once
  if blocks.another_net(config, arg):
    config.methods = (
      'saliency',
      'gradient_x_input',
      'guided_backprop',
      'fullgrad',
      'grad_cam',
      'grad_cam_pp',
      'hires_cam',
      'layer_cam',
      'guided_grad_cam',
    )
    config.samples, config.changes, config.steps = 8, 2, 8
    config.batch, config.chunk = 4, 8
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes = config.batch = 3
  config.methods = ('saliency', 'cam')
  config.faithful = config.steps = config.samples = config.changes = 2
  return config


def sweep(add) -> None:
  """Number of samples of the noisy methods."""
  add(add.product(samples=(4, 16, 64)))
