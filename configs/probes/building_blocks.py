"""Takes one decision apart: what a layer sees where, and what that says.

For an image and a class, by positions, units and groups of units of a layer
(Olah et al. 2018): the grid of what is seen at each position, the dictionary of
the strongest units, the contributions of positions, units and non-negative
factors to the logit, each with an image that excites it; and through which
groups of the layer those of a lower one speak.

Commands:
  vizlab-run --config=probes/building_blocks --workdir=runs/building_blocks
  vizlab-run --config=probes/building_blocks:googlenet \\
    --config.net.weights=googlenet.safetensors --config.image=PHOTO \\
    --config.labels=imagenet_labels.json --workdir=runs/blocks_googlenet

Runtime: a minute and a half on 2 CPU cores. A run that is stopped or killed
resumes after the last images.

Expected: report.html. The star speaks for the class star. Of five groups one is
the star (+0.64), one is the background (-0.67), three are parts of the square.
Below it, the edges of one orientation say most (+0.57), the background speaks
against the class (-0.74).
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
  config.lower = 'relu3_2'  # whose groups speak through those of the layer
  config.grid = 6  # parts of the map along a side
  # How far neighbours in the grid share their coarse structure, in parts; each
  # is made by itself.
  config.reach = placeholder(float)
  config.reach = 1.0
  config.positions = 4  # strongest positions of the dictionary
  config.units = 5  # at each of them, and for and against the class
  config.groups = 5  # factors of the activations
  blocks.icons(config, power=1.0)
  if blocks.another_net(config, arg):
    config.layer, config.lower = 'relu5_1', 'relu4_1'
    blocks.larger_icons(config)
  if arg == 'googlenet':
    config.layer, config.lower = 'inception_4d/output', 'inception_4a/output'
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.grid, config.positions, config.units, config.groups = 2, 1, 1, 2
  config.size, config.steps, config.icons_batch = 32, 2, 4
  return config


def sweep(add) -> None:
  """Layers, and numbers of groups."""
  add(add.product(layer=('relu3_2', 'relu4_2', 'relu5_2'), groups=(3, 8)))
