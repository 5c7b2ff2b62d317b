"""Shows every layer at work: activations, gradients and their distributions.

For one image, the maps of each layer and the gradients of the class by them, as
ConvNetJS draws them, beside shapes, parameters and ranges. Over many images,
the share of activations above zero, dead units, and the distribution of each
layer.

Commands:
  vizlab-run --config=probes/activations --workdir=runs/activations
  vizlab-run --config=probes/activations:googlenet \\
    --config.net.weights=googlenet.safetensors --config.image=PHOTO \\
    --config.photos=FOLDER --workdir=runs/activations_googlenet

Runtime: half a minute on 2 CPU cores; GoogLeNet with 300 photos one minute. A
run that is stopped or killed resumes after the last 256 images.

Expected: report.html with a row of maps for each layer: edges in the first
ones, parts of the objects in later ones. In minivgg a third to a half of the
places behind each ReLU are active, in GoogLeNet on photos 47 % of the first and
16 % of the last layer; no channel is dead.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Layers of minivgg over 512 scenes; ``googlenet`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'probes/activations'
  config.seed = 0
  config.net = blocks.net()
  config.image = 'sample:star_and_square'
  config.target = placeholder(int)  # the class; the most probable one
  config.layers = ()  # names; () for all
  config.channels = 25  # of each layer, those that are strongest in the image
  config.scenes = 512  # scenes of two objects, for the distributions
  # A folder (or pattern) of photos instead.
  config.photos = placeholder(str)
  config.batch = 32  # images at once
  if blocks.another_net(config, arg):
    config.batch = 8
  if arg == 'googlenet':
    config.layers = (
      'conv1/relu_7x7',
      'conv2/relu_3x3',
      *(f'inception_{k}/output' for k in '3a 3b 4a 4b 4c 4d 4e 5a 5b'.split()),
    )
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu1_1', 'relu3_2', 'fc')
  config.channels = 3
  config.scenes, config.batch = 6, 4
  return config


def sweep(add) -> None:
  """The trained network, and the one that learned random labels."""
  add(add.product(**{'net.weights': ('minivgg', 'minivgg_random_labels')}))
