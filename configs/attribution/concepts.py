"""Takes one decision apart by concepts: channels, where and what they are.

Relevance propagation through single channels of a layer (Achtibat et al. 2023)
says where in the picture each one speaks for a class. The images in which one
of its units has most relevance say what a channel means, beside those in which
one is most active.

Commands:
  vizlab-run --config=attribution/concepts --workdir=runs/concepts
  vizlab-run --config=attribution/concepts:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.image=PHOTO \\
    --config.photos=FOLDER --config.labels=imagenet_labels.json \\
    --workdir=runs/concepts_vgg19

Runtime: ten seconds on 2 CPU cores; with VGG-19 and 300 photos a minute and a
half. A run that is stopped or killed resumes after the last 256 images.

Expected: report.html. Six of 128 channels carry 28 % of the star's relevance.
The first, 76, means stars by both rankings; 49 is most active for crescents and
rings, but stars are among the images in which it matters most.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A layer of minivgg on scenes; ``vgg19`` and others, on photos."""
  config = ConfigDict()
  config.experiment = 'attribution/concepts'
  config.seed = 0  # of the scenes
  config.net = blocks.net()
  config.image = 'sample:star_and_square'  # whose class is explained
  config.target = placeholder(str)  # name or number; the most probable class
  config.labels = placeholder(str)  # JSON list of the names of the classes
  config.layer = 'relu4_2'  # a map, whose channels are the concepts
  # Rules: epsilon_plus, epsilon_plus_flat, epsilon_alpha2_beta1,
  # epsilon_alpha2_beta1_flat, epsilon_gamma_box.
  config.composite = 'epsilon_plus_flat'
  config.concepts = 6  # channels with most relevance
  config.scenes = 512  # scenes of two objects, among which images are sought
  config.photos = ()  # or photos instead: files, folders, patterns
  config.top = 4  # images of each channel
  config.batch = 16  # images at once
  if blocks.another_net(config, arg):
    config.layer = 'relu5_3' if arg in ('vgg16', 'vgg19') else 'relu5_1'
  if arg == 'googlenet':
    config.layer = 'inception_4d/output'
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layer, config.concepts = 'relu2_1', 2
  config.scenes, config.top, config.batch = 6, 2, 4
  return config


def sweep(add) -> None:
  """Layers, and rules of the convolutions above them."""
  rules = 'epsilon_plus', 'epsilon_alpha2_beta1', 'epsilon_gamma_box'
  add(add.product(layer=('relu3_2', 'relu4_2'), composite=rules))
