"""Trains a network that paints any image in one style, in one pass.

Johnson, Alahi & Fei-Fei 2016, with instance normalisation (Ulyanov et al. 2017)
and resize-convolutions: the loss of style transfer is minimised over the
weights of an image transformation network, not over pixels.

Commands:
  vizlab-run --config=generate/fast_style --workdir=runs/fast_style
  vizlab-run --config=generate/fast_style:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.net.preprocess=caffe \\
    --config.styles=PAINTING --config.photos=FOLDER --config.images=PHOTO \\
    --workdir=runs/fast_style_vgg19

`generate/stylise` paints photos with the fast_style.safetensors that it writes.

Runtime: ten minutes on 2 busy CPU cores, with VGG-19 half an hour. A run that
is stopped or killed resumes from its last checkpoint.

Expected: fast_style.safetensors, record.json, and report.html with what the
network makes beside pixels that were optimized for the same loss: the sample in
blue swirls, at 12 % of the loss of the image itself (150 steps of optimizing
the pixels: 5 %). With The Starry Night and five photos the second command made
a network that reaches 15 % on two photos; 60 steps of optimizing the pixels
reach 5 %, in 164 times as long. With four paintings (The Starry Night, The
Scream, The Great Wave, Composition VII) and 300 photos it made the one that
ships as fast_style_paintings, in an hour on one core: 10 % on two other
photos, and between two styles it goes over from one to the other.

With ``--config.photos`` of 16 and of 256 photos, the first command's networks
have these losses on four other photos (``--config.norm=batch``, and
``--config.form=pyramid``):

  ===================  =========  ==========
  network              16 photos  256 photos
  ===================  =========  ==========
  instance             10 %       9 %
  batch                12 %       14 %
  pyramid                         11 %
  ===================  =========  ==========

As Ulyanov et al. 2017 say: with batch normalisation more photos make it worse,
and of 256 it keeps next to nothing of the content. The pyramid leaves no mesh,
where the residual network has one 2.3 times as strong as the frequencies beside
it, and that with batch normalisation one of 5.8.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Swirls on scenes with minivgg; ``vgg19``: a painting on photos."""
  config = ConfigDict()
  config.experiment = 'generate/fast_style'
  config.seed = 0
  config.net = blocks.net('avg')  # whose activations are compared
  # Images whose styles it learns, files for other ones. It paints in each of
  # several, and in mixtures of them.
  config.styles = ('sample:swirls',)
  config.style_size = 192  # pixels of their shorter sides
  config.content_layer = 'relu3_1'
  config.style_layers = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1')
  # Weights of the content, where two images differ by 1, of the style, where
  # images that are not painted have 1, and of total variation by pixel.
  config.alpha = 1.0
  config.beta = 10.0
  config.tv = 1.0
  config.scenes = 256  # scenes of two objects to train with
  # A folder (or pattern) of photos instead.
  config.photos = placeholder(str)
  config.size = 96  # pixels of the squares that are cut out of them
  # 'pyramid': the network of several resolutions (Ulyanov et al. 2016).
  config.form = 'residual'
  config.width = 16  # channels of the first convolution
  config.blocks = 3  # residual blocks
  config.scales = 5  # resolutions of a pyramid
  config.upsampling = 'resize'  # 'transposed'
  config.norm = 'instance'  # 'batch'
  config.batch_size = 4
  config.steps = 1500
  config.learning_rate = 3e-3
  # Decay of the moving average of the weights that is kept; 0 keeps the last.
  config.ema = 0.0
  config.images = ('sample:star_and_square',)  # painted in the end
  config.shown_size = 192  # pixels of their shorter side
  config.compare = 150  # steps of optimizing their pixels instead; 0 for none
  if blocks.another_net(config, arg):
    config.style_size = 256
    config.size = 128
    config.beta = 16.0
    config.shown_size = 384
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.content_layer, config.style_layers = 'relu2_1', ('relu1_1', 'relu2_1')
  config.scenes, config.size, config.style_size = 4, 32, 48
  config.width, config.blocks = 4, 1
  config.batch_size, config.steps, config.compare = 2, 3, 2
  config.shown_size = 48
  return config


def sweep_form(add) -> None:
  """The residual network, and a pyramid of about as many parameters."""
  add(add.product(form=('residual', 'pyramid')))


def sweep_norm(add) -> None:
  """Instance against batch normalisation, from few images and from many."""
  add(add.product(norm=('instance', 'batch'), scenes=(16, 256)))


def sweep(add) -> None:
  """Upsampling, and the number of training images."""
  add(add.product(upsampling=('resize', 'transposed'), scenes=(16, 256)))
