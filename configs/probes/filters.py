"""Shows the weights of a network as pictures.

The filters of the first layer, ordered by orientation and colour; and what
units of later layers weigh in the image, by their expanded weights: the product
of all kernels on the way, as if the layers between were linear (Cammarata et
al. 2020; Voss et al. 2021).

Commands:
  vizlab-run --config=probes/filters --workdir=runs/filters
  vizlab-run --config=probes/filters:googlenet \\
    --config.net.weights=googlenet.safetensors --workdir=runs/filters_googlenet

Runtime: ten seconds on 2 CPU cores, GoogLeNet half a minute.

Expected: report.html with the first layer (edges, waves and spots of colour,
not noise), a row of expanded weights for each of the layers, and the strongest
inputs of each unit. The summary states which share of the first layer's
energy its stride aliases (Zeiler & Fergus 2014, section 4.1).
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """The layers of minivgg; ``googlenet`` and other networks."""
  config = ConfigDict()
  config.experiment = 'probes/filters'
  config.net = blocks.net()
  config.ordered = True  # the first layer by colour and orientation
  config.shared = False  # one scale for all filters of the first layer
  config.layers = ('conv2_1', 'conv3_1', 'conv3_2')
  config.channels = ()  # numbers; () for those with the largest weights
  config.count = 12  # how many of those
  config.inputs = 10  # of a unit, the strongest
  if blocks.another_net(config, arg):
    config.layers = ('conv1_2', 'conv2_1', 'conv2_2')
  if arg == 'googlenet':
    config.layers = ('conv2/3x3', 'inception_3a/3x3', 'inception_3a/5x5')
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('conv2_1',)
  config.count, config.inputs = 2, 3
  return config


def sweep(add) -> None:
  """Layer by layer, with more units."""
  add(
    add.product(
      layers=(('conv2_1',), ('conv3_1',), ('conv3_2',), ('conv4_1',)),
      count=(32,),
    )
  )
