"""Visualizes units and samples classes through a decoder that was trained.

DGN-AM (Nguyen et al. 2016) optimizes the code of a generator instead of pixels;
PPGN (Nguyen et al. 2017) samples codes of a class. The generator is a decoder
of a layer, trained to make images with the same features, as the layer has lost
the colours of the scenes.

Command:
  vizlab-run --config=generate/learned_prior --workdir=runs/learned_prior

Runtime: 15 minutes on 2 busy CPU cores. A run that is stopped or killed
resumes from its last checkpoint.

Expected: decoder.safetensors, record.json, and report.html. Shapes are decoded
in one colour, with a mesh; classes are bars, tees and an hourglass on plain
ground, where Fourier spectra give textures of their parts. Three chains go to
discs, a cross and a star, and each sample is classified as its class; those of
one chain differ little (a spread of 0.18, images 0.78).
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """A decoder of the last map of minivgg, trained on scenes."""
  config = ConfigDict()
  config.experiment = 'generate/learned_prior'
  config.seed = 0
  config.net = blocks.net()
  config.labels = placeholder(str)  # JSON list of the names of the classes
  config.code = 'relu5_2'  # layer whose activations are decoded, the code
  # Channels of the decoder, from the side of the code to that of the image,
  # which doubles with each.
  config.widths = (128, 128, 96, 64, 32)
  config.pixel = 0.1  # weight of the mean squared difference of pixels
  config.feature = 1.0  # and of activations
  config.feature_layer = 'relu4_2'
  config.scenes = 2048  # scenes of two objects to train with
  # A folder (or pattern) of photos instead.
  config.photos = placeholder(str)
  config.size = 96  # side of the images in pixels, that of the network
  config.batch_size = 8
  config.steps = 1500
  config.learning_rate = 1e-3
  # Decay of the moving average of the weights that is kept; 0 keeps the last.
  config.ema = 0.0
  config.layer = 'fc'  # whose units are visualized
  config.channels = ()  # classes also by name; () for some of all
  config.count = 6  # how many of those
  config.image_steps = 200
  config.image_rate = 0.1
  config.targets = ('disc', 'cross', 'star')  # classes that are sampled
  config.samples = 8  # of each chain
  config.sample_steps = 400
  # Steps to likely codes, to the class, and at random.
  config.prior = 0.01
  config.condition = 10.0
  config.noise = 0.05
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.widths, config.scenes = (8, 8, 4, 4, 4), 12
  config.batch_size, config.steps, config.image_steps = 2, 3, 2
  config.count, config.targets = 2, ('star', 'disc')
  config.samples, config.sample_steps = 2, 4
  return config


def sweep(add) -> None:
  """Lengths of the steps to the class."""
  add(add.product(condition=(0.0, 1.0, 30.0)))
