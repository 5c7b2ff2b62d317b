"""Trains a network that enlarges images, by pixels or by features.

Images are shrunk and enlarged again, so that the result can be compared.
Johnson, Alahi & Fei-Fei 2016: least squares of pixels give the highest PSNR and
blurred images; a loss on the features of a network gives sharp ones.

Commands:
  vizlab-run --config=generate/super_resolution --workdir=runs/enlarged
  vizlab-run --config=generate/super_resolution:vgg16 \\
    --config.net.weights=vgg16.safetensors --config.photos=FOLDER \\
    --config.images=GROUND_TRUTH --workdir=runs/enlarged_by_pixels
  vizlab-run --config=generate/super_resolution:vgg16 \\
    --config.net.weights=vgg16.safetensors --config.photos=FOLDER \\
    --config.images=GROUND_TRUTH --config.pixel=0.0 --config.feature=1.0 \\
    --config.start=super_resolution_pixel --config.steps=1000 \\
    --config.learning_rate=1e-4 --config.beside=super_resolution_pixel \\
    --workdir=runs/enlarged_by_features

``super_resolution_pixel`` ships with vizlab; the second command made it.

Runtime: one minute on 2 CPU cores; the second command 31 and the third 22
minutes beside other work. A run that is stopped or killed resumes from its last
checkpoint.

Expected: super_resolution.safetensors, record.json, and report.html. Of Set5,
four times as large, from 2,000 steps with 300 photos and 1,000 more:

  ===================  ======  =====  ================
  loss                 PSNR    SSIM   LPIPS of AlexNet
  ===================  ======  =====  ================
  cubic interpolation  28.43   0.811  0.344
  pixels               30.30   0.859  0.222
  features             28.19   0.832  0.154
  ===================  ======  =====  ================

Pixels give sharp edges and smooth surfaces, features add fine grain. On
graphics with hard edges the network rings, and may be worse than the
interpolation.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Scenes, four times as large; ``vgg16``: photos, as in the paper."""
  config = ConfigDict()
  config.experiment = 'generate/super_resolution'
  config.seed = 0
  config.net = blocks.net()  # whose activations are compared
  config.factor = 4  # by which the sides grow; 8
  config.pixel = 1.0  # weight of the mean squared difference of pixels
  config.feature = 0.0  # and of activations
  config.feature_layer = 'relu2_1'
  config.scenes = 256  # scenes of two objects to train with
  # A folder (or pattern) of photos instead.
  config.photos = placeholder(str)
  config.size = 64  # pixels of the squares that are cut out of them
  config.width = 32  # channels
  config.blocks = 2  # residual blocks
  # A trained network to start from, of its own width and blocks; none.
  config.start = placeholder(str)
  config.batch_size = 8
  config.steps = 500
  config.learning_rate = 3e-4
  # Decay of the moving average of the weights that is kept; 0 keeps the last.
  config.ema = 0.0
  # Shrunk and enlarged again in the end: files, folders, patterns.
  config.images = ('sample:star_and_square', 'sample:crescent_and_cross')
  config.beside = ()  # trained networks that are shown beside it
  config.crop = 64  # pixels of the squares in the report
  # A network of LPIPS ('alexnet' or 'vgg16') and its heads; not measured.
  config.judge = placeholder(str)
  config.heads = placeholder(str)
  if blocks.another_net(config, arg):
    config.feature_layer = 'relu2_2'
    config.size = 96
    config.width, config.blocks = 64, 4
    config.steps = 2000
    config.crop = 96
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes, config.size, config.width, config.blocks = 4, 24, 4, 1
  config.batch_size, config.steps, config.crop = 2, 3, 24
  config.images = ('sample:star_and_square',)
  return config


def sweep(add) -> None:
  """Pixels, features, and both."""
  trials = [
    add.product(pixel=(pixel,), feature=(feature,))
    for pixel, feature in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
  ]
  add(add.chain(*trials))
