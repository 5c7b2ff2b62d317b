"""Trains a network that makes one texture of noise, in one pass.

Ulyanov, Lebedev, Vedaldi & Lempitsky 2016: the loss of texture synthesis is
minimised over the weights of a network of several resolutions, not over pixels;
with instance normalisation and a term for diversity (Ulyanov, Vedaldi &
Lempitsky 2017), as else it makes much the same of all noise.

Commands:
  vizlab-run --config=generate/texture_network --workdir=runs/texture_network
  vizlab-run --config=generate/texture_network:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.net.preprocess=caffe \\
    --config.image=TEXTURE --workdir=runs/texture_network_vgg19

Runtime: three and a half minutes on 2 CPU cores. A run that is stopped or
killed resumes from its last checkpoint.

Expected: texture.safetensors, record.json, and report.html with four textures
beside optimized ones, and a larger one that tiles: white spots and strokes in
blue, at 1.8 % of the loss of noise. 150 steps of optimizing pixels reach 0.1 %,
with curls where the network has short strokes, in about 100 times as long.
Textures of both differ alike (0.27 and 0.30, root mean square). With a weight
of 0.1 for diversity the network makes a checkerboard, which is very diverse.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Swirls with minivgg; ``vgg19``: a texture of your own."""
  config = ConfigDict()
  config.experiment = 'generate/texture_network'
  config.seed = 0
  config.net = blocks.net('avg')  # whose activations are compared
  config.image = 'sample:swirls'  # or a file
  config.example_size = 96  # pixels of its shorter side
  config.layers = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1')
  config.size = 96  # pixels of the textures that it is trained with
  config.scales = 5  # resolutions of noise, each half of the next
  config.width = 8  # channels that each of them becomes
  config.noise = 3  # channels of the noise
  # Weights, where noise has a loss of 1: of the logarithm of their differences
  # and of total variation by pixel, of what is too fine for the layers to see.
  config.diversity = 0.002
  config.tv = 0.05
  config.batch_size = 4
  config.steps = 800
  config.learning_rate = 0.01
  # Decay of the moving average of the weights that is kept; 0 keeps the last.
  config.ema = 0.0
  config.compare = 150  # steps of optimizing pixels instead; 0 for none
  if blocks.another_net(config, arg):
    config.example_size = 128
    config.size = 128
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu1_1', 'relu2_1')
  config.example_size, config.size = 48, 32
  config.scales, config.width = 2, 4
  config.batch_size, config.steps, config.compare = 2, 3, 2
  return config


def sweep(add) -> None:
  """Number of resolutions, with and without the term for diversity."""
  add(add.product(diversity=(0.0, 0.01, 0.1), scales=(3, 5)))
