"""Inverts layers: what does each keep of a picture?

Mahendran & Vedaldi 2015: images whose activations are those of a picture, with
three strengths of total variation, and from several starts.

Commands:
  python scripts/run.py --config=configs/invert.py --workdir=runs/invert
  python scripts/run.py --config=configs/invert.py:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=PHOTO,PHOTO \\
    --workdir=runs/invert_vgg19

Runtime: two to three minutes on 2 busy CPU cores; VGG-19 with one photo and 60
steps 13 minutes beside other work. It can be killed and started again.

Expected: report.html with the table and the images. conv1_1 and relu2_1 tell
the picture, relu3_2 its shapes, fc nothing that is seen. VGG-19 on the
astronaut, 60 steps, the error of the activations in percent by weights of 0.1,
1 and 10: conv1_1 0.7, 4.8, 24; relu2_1 1.9, 4.5, 24; relu3_1 15, 16, 29;
relu4_1 21, 22, 32; relu5_1 29, 24, 30; fc8 8, 12, 13.
"""

from ml_collections import ConfigDict


def get_config(arg: str = '') -> ConfigDict:
  """Both samples with minivgg; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'invert'
  config.seed = 0
  config.net = ConfigDict()
  config.net.weights = 'minivgg'  # or a file
  config.net.arch = ''  # '' for what the file says
  config.net.preprocess = ''  # 'caffe', 'torchvision'; '' for what it implies
  config.net.pool = 'max'  # or 'avg'
  config.images = (
    'sample:star_and_square,sample:crescent_and_cross'  # by commas
  )
  config.layers = 'conv1_1,relu2_1,relu3_2,relu4_2,relu5_2,fc'  # by commas
  config.size = 96  # side of the images in pixels
  config.tv = (0.1, 1.0, 10.0)  # weights of total variation
  config.seeds = 5  # starts
  config.noise = 0.1  # standard deviation of a start about grey
  config.optimizer = 'lbfgs'  # 'momentum', 'adam'
  config.learning_rate = 0.0  # 0 for what suits the optimizer
  config.steps = 200
  config.patience = 0.0  # stop below this share of rise in 16 steps
  if arg not in ('', 'minivgg'):
    config.net.weights = f'{arg}.safetensors'
    config.net.arch = arg
    config.images = ''
    config.layers = 'conv1_1,relu2_1,relu3_1,relu4_1,relu5_1,fc8'
    config.size = 224
    config.seeds = 2
    config.steps = 80
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = 'relu2_1'
  config.size, config.steps, config.seeds = 32, 3, 2
  return config
