"""Explains pictures: which pixels does a class come from.

Commands:
  vizlab-run --config=attribution/explain --workdir=/tmp/explain
  vizlab-run --config=attribution/explain:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=cat.png,dog.png \\
    --workdir=/tmp/explain_vgg19

Runtime: under a minute on 2 CPU cores, and about two minutes for one photo with
VGG-19, most of it occlusion. A run that is stopped or killed resumes after the
last photo and method.

Expected: report.html with a row for every picture and class. On the scenes, a
table of the share of each attribution that lies inside the object it is asked
about: Grad-CAM has at least twice the share that chance has, and less than a
third of it on the other object.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """The default explains scenes with minivgg; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'attribution/explain'
  config.seed = 0
  config.net = blocks.net()
  # Paths, folders, patterns such as photos/*.jpg, or sample:NAME.
  config.images = ('sample:star_and_square',)
  config.scenes = 5  # procedural scenes of two objects; minivgg only
  config.score_scenes = 32  # scenes of two objects, for the table of figures
  # Classes to explain, by number or by name (tiger_cat); () for the most
  # probable ones.
  config.targets = ()
  config.classes = 2  # how many of the most probable classes to explain
  config.labels = placeholder(str)  # a JSON list of class names
  config.methods = (
    'saliency',
    'gradient_x_input',
    'deconvnet',
    'guided_backprop',
    'grad_cam',
    'guided_grad_cam',
    'occlusion',
  )  # or 'all'; a wrong name lists them
  blocks.explaining(config, samples=32, chunk=16)
  if blocks.another_net(config, arg):
    config.images = ()
    config.scenes = 0
    config.score_scenes = 0
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes = 1
  config.score_scenes = 2
  config.methods = ('saliency', 'grad_cam', 'occlusion')
  config.patch = 48
  return config


def sweep(add) -> None:
  """The patch of occlusion, and how many samples the noisy methods take."""
  add(add.product(patch=(8, 16, 32), samples=(8, 32, 128)))
