"""Makes a microscope of a network: a static site with a page for each unit.

A page shows images that excite the unit, its strongest and weakest patches in a
data set with their projections, the distribution of its activations, the units
of the neighbouring layers that it is linked to, and the classes it speaks for
(Yosinski et al. 2015; Schubert et al. 2020). Pages are found by layer, number
or class, and by links; left, right and up are arrow keys.

Commands:
  vizlab-run --config=probes/microscope --workdir=runs/microscope
  vizlab-run --config=probes/microscope --config.layers=relu4_2 \\
    --config.channels=41 --workdir=runs/unit
  vizlab-run --config=probes/microscope:googlenet \\
    --config.net.weights=googlenet.safetensors --config.photos=FOLDER \\
    --config.labels=imagenet_labels.json --workdir=runs/microscope_googlenet

Runtime: 17 minutes on 2 CPU cores beside other work. A run that is stopped or
killed resumes after the last eight units; several processes share the units
(see ``--help``).

Expected: site/index.html, which opens in any browser, from the disk as well as
from a host. A page has 40 to 90 kB. The patches of a unit have something in
common: in relu3_2 edges of one direction, in relu4_1 arcs, and the units of
relu5_2 that excite a class most show its shape. No unit is dead.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """All units of minivgg; two layers of ``googlenet`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'probes/microscope'
  config.seed = 0
  config.net = blocks.net()
  config.layers = ()  # names, from low to high; () for ReLUs and classes
  config.channels = ()  # numbers, in each layer; () for all
  config.scenes = 2048  # scenes of two objects to search
  # A folder (or pattern) of photos instead.
  config.photos = placeholder(str)
  config.labels = placeholder(str)  # JSON list of the names of the classes
  config.top = 9  # strongest and weakest patches of a unit
  config.size = 64  # side in pixels of the images that are made
  config.steps = 64  # for each of them
  config.learning_rate = 0.1
  config.diverse = 2  # further images of a unit that differ; 0 for none
  config.diversity = 0.3  # weight of their difference
  config.links = 6  # units of the layer below and above that are shown
  config.classes = 6  # classes that are shown
  config.batch = 32  # images at once
  if blocks.another_net(config, arg):
    config.size = 112
    config.batch = 8
  if arg == 'googlenet':
    config.layers = ('inception_4a/output', 'inception_4b/output')
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu2_1', 'relu3_1', 'fc')
  config.channels = (0, 5)
  config.scenes, config.batch, config.top = 6, 4, 2
  config.size, config.steps, config.diverse = 32, 2, 1
  return config


def sweep(add) -> None:
  """The trained network, and the one that learned random labels."""
  add(add.product(**{'net.weights': ('minivgg', 'minivgg_random_labels')}))
