"""Inverts layers: what does each keep of a picture?

Mahendran & Vedaldi 2015: images whose activations are those of a picture, with
three strengths of total variation, and from several starts.

Commands:
  python scripts/run.py --config=configs/invert.py --workdir=runs/invert
  python scripts/run.py --config=configs/invert.py:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=PHOTO,PHOTO \\
    --workdir=runs/invert_vgg19

Runtime: two to three minutes on 2 busy CPU cores; VGG-19 with three photos and
60 steps 14 minutes. It can be killed and started again.

HOG and SIFT are inverted in grey, and their pictures shown at full contrast, as
neither tells it. HOG as it is most used does not tell dark on bright from
bright on dark; signed_hog does, and is as easily seen as SIFT.

Expected: report.html with the table and the images. conv1_1 and relu2_1 tell
the picture, relu3_2 its shapes, fc nothing that is seen. The error of the
activations in percent, mean and deviation over the pictures, by weight:

  minivgg     0.1           1             10
  conv1_1     0.5 +- 0.0    2.8 +- 0.2   12.9 +- 0.7
  relu2_1     0.9 +- 0.2    2.5 +- 0.2   10.5 +- 0.8
  relu3_2     5.6 +- 0.8    5.8 +- 0.3   12.1 +- 0.1
  relu4_2     3.7 +- 0.6    4.3 +- 0.5    9.0 +- 0.3
  relu5_2     4.4 +- 0.3    6.9 +- 1.4   10.5 +- 2.6
  fc          0.7 +- 0.0    0.9 +- 0.3    2.9 +- 0.8
  hog         5.0 +- 2.1    2.8 +- 0.2    3.2 +- 0.0
  signed_hog 16.7 +- 2.7    8.1 +- 1.4    7.4 +- 0.5
  sift       10.3 +- 5.0    2.0 +- 0.4    2.4 +- 0.3

VGG-19 on astronaut.png, tubingen.jpg and snake.png, 60 steps; both tables are
of an earlier L-BFGS, without its damping and projection:

  conv1_1     0.6 +- 0.1    4.3 +- 0.4   22.1 +- 2.7
  relu2_1     1.6 +- 0.6    4.1 +- 0.3   21.4 +- 3.5
  relu3_1    12.4 +- 4.0   12.8 +- 4.0   26.6 +- 1.9
  relu4_1    16.9 +- 4.2   17.2 +- 4.3   26.3 +- 3.9
  relu5_1    24.7 +- 3.2   23.1 +- 4.0   27.3 +- 2.8
  fc8         8.6 +- 1.8   14.3 +- 3.0   10.0 +- 1.8
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
  config.layers = (  # by commas; also 'hog', 'signed_hog' and 'sift'
    'conv1_1,relu2_1,relu3_2,relu4_2,relu5_2,fc,hog,signed_hog,sift'
  )
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
    config.layers = 'conv1_1,relu2_1,relu3_1,relu4_1,relu5_1,fc8,sift'
    config.size = 224
    config.seeds = 2
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = 'relu2_1,sift'
  config.size, config.steps, config.seeds = 32, 3, 2
  return config


def sweep(add) -> None:
  """Optimisers with the rates that suit them, from little and much noise."""
  add(
    add.product(
      add.zip(
        optimizer=('adam', 'lbfgs', 'momentum'),
        learning_rate=(0.02, 0.05, 0.0005),
      ),
      noise=(0.01, 0.1),
    )
  )
