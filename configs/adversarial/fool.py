"""Fools a net: any picture becomes any class, by changes that nobody sees.

Commands:
  vizlab-run --config=adversarial/fool --workdir=runs/fool
  vizlab-run --config=adversarial/fool:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=PHOTO,PHOTO \\
    --config.other=squeezenet11.safetensors --workdir=runs/fool_vgg19

Needs matplotlib: pip install -e '.[analysis]'.

Runtime: 15 seconds on 2 CPU cores; VGG-19 with two photos two minutes. A run
that is stopped or killed resumes after the last picture and class.

Expected: report.html with the pictures, the difference and ten times the
difference, and the probability along the steps. minivgg takes both samples for
all three classes, with 96 % or more, after a mean change of 0.014; VGG-19 takes
an astronaut and a cat for an ostrich and a toaster after 0.004, and SqueezeNet
is never fooled along.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Both samples with minivgg; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'adversarial/fool'
  config.seed = 0
  config.net = blocks.net()
  config.images = ('sample:star_and_square', 'sample:crescent_and_cross')
  # Class that each must become, by number or by name.
  config.targets = (0, 5, 9)
  config.labels = placeholder(str)  # a JSON list of class names
  # Weights of another net, which may be fooled, too; none.
  config.other = placeholder(str)
  config.enough = 5.0  # logits by which the class must be ahead
  config.rate = 0.001  # how much a pixel changes in a step, in the mean
  config.steps = 200  # at most
  config.every = 2  # steps between two points of the curve
  if blocks.another_net(config, arg):
    config.images = ()
    config.targets = (9, 859)  # an ostrich, a toaster
    config.rate = 0.0005
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.images = ('sample:star_and_square',)
  config.targets, config.steps = (9,), 4
  config.other = 'minivgg_random_labels'
  return config


def sweep(add) -> None:
  """Rate of a step by the required margin."""
  add(add.product(rate=(0.0003, 0.001, 0.003), enough=(0.0, 5.0, 10.0)))
