"""Inverts layers: what does each keep of a picture?

Mahendran & Vedaldi 2015: images whose activations are those of a picture, with
three strengths of total variation, and from several starts.

Commands:
  vizlab-run --config=synthesis/invert --workdir=runs/invert
  vizlab-run --config=synthesis/invert:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=PHOTO,PHOTO \\
    --workdir=runs/invert_vgg19

Runtime: two to three minutes on 2 busy CPU cores; VGG-19 with three photos 40
minutes. It can be killed and started again.

HOG and SIFT are inverted in grey, and their pictures shown at full contrast, as
neither tells it. HOG as it is most used does not tell dark on bright from
bright on dark; signed_hog does, and is as easily seen as SIFT.

Expected: report.html with the table and the images. conv1_1 and relu2_1 tell
the picture, relu3_2 its shapes, fc nothing that is seen. The error of the
activations in percent, mean and deviation over the pictures, by weight:

  minivgg     0.1           1             10
  conv1_1     0.5 +- 0.0    2.8 +- 0.2   12.9 +- 0.7
  relu2_1     0.6 +- 0.0    2.4 +- 0.2   10.5 +- 0.8
  relu3_2     4.0 +- 0.1    5.2 +- 0.4   11.7 +- 0.6
  relu4_2     2.9 +- 0.8    3.8 +- 0.1    8.9 +- 0.2
  relu5_2     5.3 +- 0.6    5.6 +- 1.1   12.1 +- 1.9
  fc          0.9 +- 0.0    0.9 +- 0.3    2.5 +- 0.6
  hog         2.9 +- 0.5    2.7 +- 0.0    3.0 +- 0.4
  signed_hog  9.8 +- 2.2    7.5 +- 0.6    7.6 +- 0.6
  sift        2.3 +- 0.7    2.0 +- 0.4    2.4 +- 0.3

VGG-19 (the weights of its authors) on astronaut.png, tubingen.jpg and
snake.png, by the size of the activations, and at 0.1 also by the mean distance
between the pictures' activations, as in the paper:

  VGG-19      0.1           1             10            0.1, by distance
  conv1_1     0.6 +- 0.1    4.3 +- 0.4   22.1 +- 2.7    0.5 +- 0.1
  relu2_1     1.0 +- 0.5    3.9 +- 0.3   21.1 +- 3.3    0.8 +- 0.2
  relu3_1     2.5 +- 0.5    5.2 +- 0.3   21.9 +- 3.7    1.9 +- 0.3
  relu4_1     6.3 +- 2.3    7.7 +- 1.1   18.0 +- 2.7    5.3 +- 2.3
  relu5_1     9.4 +- 1.9   11.1 +- 1.7   17.3 +- 1.7    6.8 +- 2.2
  fc8         3.2 +- 1.0    3.7 +- 0.9    4.4 +- 0.8    2.0 +- 0.6
  sift        5.0 +- 3.4    5.0 +- 3.2    5.2 +- 3.2    5.4 +- 3.6
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Both samples with minivgg; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'synthesis/invert'
  config.seed = 0
  config.net = blocks.net()
  config.images = ('sample:star_and_square', 'sample:crescent_and_cross')
  config.layers = (
    'conv1_1',
    'relu2_1',
    'relu3_2',
    'relu4_2',
    'relu5_2',
    'fc',
    'hog',
    'signed_hog',
    'sift',
  )  # also 'hog', 'signed_hog' and 'sift'
  config.size = 96  # side of the images in pixels
  config.tv = (0.1, 1.0, 10.0)  # weights of total variation
  config.seeds = 5  # starts
  config.noise = 0.1  # standard deviation of a start about grey
  config.optimizer = 'lbfgs'  # 'momentum', 'adam'
  config.learning_rate = placeholder(float)  # what suits the optimizer
  config.steps = 200
  config.patience = 0.0  # stop below this share of rise in 16 steps
  if blocks.another_net(config, arg):
    config.images = ()
    config.layers = (
      'conv1_1',
      'relu2_1',
      'relu3_1',
      'relu4_1',
      'relu5_1',
      'fc8',
      'sift',
    )
    config.size = 224
    config.seeds = 2
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu2_1', 'sift')
  config.size, config.steps, config.seeds = 32, 3, 2
  return config


def sweep(add) -> None:
  """Optimizers with the rates that suit them, from little and much noise."""
  add(
    add.product(
      add.zip(
        optimizer=('adam', 'lbfgs', 'momentum'),
        learning_rate=(0.02, 0.05, 0.0005),
      ),
      noise=(0.01, 0.1),
    )
  )
