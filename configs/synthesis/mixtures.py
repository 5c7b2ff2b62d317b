"""Several images of a unit, two units at once, and the way between them.

Commands:
  vizlab-run --config=synthesis/mixtures --workdir=runs/mixtures
  vizlab-run --config=synthesis/mixtures:vgg19 \\
    --config.net.weights=vgg19.safetensors --workdir=runs/mixtures_vgg19

Runtime: two minutes on 2 busy CPU cores; VGG-19 five minutes.
It can be interrupted and started again: it resumes from the last checkpoint, 20
seconds and 16 steps before at most.

Expected: report.html with three pictures. Five images of a channel are alike
(the mean cosine of their Gram matrices is 0.91) until diversity is asked for
(0.38); both of two channels in one image; the way from one to the other, along
which neighbours stay alike. With VGG-19 the Grams' cosine falls from 0.99 to
0.12.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Two channels of minivgg; ``vgg19`` and others at 160 pixels."""
  config = ConfigDict()
  config.experiment = 'synthesis/mixtures'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'relu5_2'
  config.channels = (18, 108)  # two numbers
  config.compare = placeholder(str)  # where images are compared; the layer
  config.compare = 'relu4_2'
  config.count = 5  # images of the unit, and on the way
  config.image = 'fourier'  # 'pyramid', 'cppn', 'maco'
  config.size = 96  # side of the images in pixels
  config.steps = 200
  config.diversity = 1.0  # its weight, as a share of the unit's activation
  config.against = 0.5  # weight of the unit that must be silent
  config.alignment = 20.0  # weight of being like one's neighbours
  if blocks.another_net(config, arg):
    config.layer, config.compare = 'relu4_2', 'relu3_1'
    config.channels = (20, 300)
    config.alignment = 0.01
    config.count = 4
    config.size = 160
    config.steps = 96
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layer, config.compare = 'relu3_2', 'relu2_1'
  config.channels = (3, 5)
  config.size, config.steps, config.count = 32, 2, 2
  return config


def sweep(add) -> None:
  """Weight of diversity by the parameterization."""
  add(add.product(image=('fourier', 'pyramid'), diversity=(0.3, 1.0, 3.0)))
