"""Takes one decision apart: what a layer sees where, and what that says.

For an image and a class, by places, units and groups of units of a layer (Olah
et al. 2018): the grid of what is seen at each place, the dictionary of the
strongest units, the contributions of places, units and non-negative factors to
the logit, each with an image that excites it.

Commands:
  vizlab-run --config=probes/building_blocks --workdir=runs/building_blocks
  vizlab-run --config=probes/building_blocks:googlenet \\
    --config.net.weights=googlenet.safetensors --config.image=PHOTO \\
    --config.labels=imagenet_labels.json --workdir=runs/blocks_googlenet

Runtime: one minute on 2 CPU cores. A run that is stopped or killed resumes
after the last images.

Expected: report.html. The star speaks for the class star. Of five groups one is
the star (+0.56), one is the background (-1.27), three are parts of the square.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A layer of minivgg; of ``googlenet`` and others, for a photo."""
  config = ConfigDict()
  config.experiment = 'probes/building_blocks'
  config.seed = 0
  config.net = blocks.net()
  config.image = 'sample:star_and_square'
  config.target = placeholder(str)  # name or number; the most probable class
  config.labels = placeholder(str)  # JSON list of the names of the classes
  config.layer = 'relu4_2'
  config.grid = 6  # parts of the map along a side
  config.places = 4  # strongest places of the dictionary
  config.units = 5  # at each of them, and for and against the class
  config.groups = 5  # factors of the activations
  blocks.icons(config, power=1.0)
  if blocks.another_net(config, arg):
    config.layer = 'relu5_1'
    blocks.larger_icons(config)
  if arg == 'googlenet':
    config.layer = 'inception_4d/output'
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.grid, config.places, config.units, config.groups = 2, 1, 1, 2
  config.size, config.steps, config.icons_batch = 32, 2, 4
  return config


def sweep(add) -> None:
  """Layers, and numbers of groups."""
  add(add.product(layer=('relu3_2', 'relu4_2', 'relu5_2'), groups=(3, 8)))
