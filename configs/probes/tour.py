"""Tours the last layers of a network: smooth projections of all dimensions.

A page without a network connection that turns the data of each layer through
its dimensions, with axes to drag and classes to hide (Asimov 1985; Li,
Zhao & Scheidegger 2020).

Commands:
  vizlab-run --config=probes/tour --workdir=runs/tour

Runtime: twenty seconds on 2 CPU cores.

Expected: site/index.html, and report.html with some moments. The classes are
mixed in relu4_2 and apart in fc, where each axis is a class: 34 %, 86 % and 90
% of the spread of relu4_2, gap and fc are between the classes.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Three layers of minivgg over 512 scenes; of ``googlenet``, photos."""
  config = ConfigDict()
  config.experiment = 'probes/tour'
  config.seed = 0
  config.net = blocks.net()
  config.layers = ('relu4_2', 'gap', 'fc')  # of a map, the mean over positions
  config.labels = placeholder(str)  # JSON list of the names of the classes
  config.scenes = 512  # scenes of one object
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.components = 16  # most dimensions of a layer
  config.turns = 8  # random planes
  config.steps = 60  # frames from one to the next
  config.batch = 32  # images at once
  if blocks.another_net(config, arg):
    config.layers = ('pool5',)
    config.batch = 8
  if arg == 'googlenet':
    config.layers = ('inception_4e/output', 'pool5/7x7_s1')
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('gap', 'fc')
  config.scenes, config.batch = 8, 4
  config.turns, config.steps = 2, 3
  return config


def sweep(add) -> None:
  """The trained network, and the one that learned random labels."""
  add(add.product(**{'net.weights': ('minivgg', 'minivgg_random_labels')}))
