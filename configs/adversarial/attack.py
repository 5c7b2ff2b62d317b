"""Attacks a net in several ways: what each changes, and what the net then says.

Commands:
  vizlab-run --config=adversarial/attack --workdir=runs/attack
  vizlab-run --config=adversarial/attack:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=PHOTO,PHOTO \\
    --workdir=runs/attack_vgg19

  vizlab-run --config=adversarial/attack:googlenet --config.attacks=fgsm \\
    --config.net.weights=googlenet_bvlc.npz --config.net.preprocess=caffe \\
    --config.labels=LABELS.json --config.images=FOLDER \\
    --workdir=runs/attack_googlenet

Runtime: a minute on 2 busy CPU cores; VGG-19 with one photo, four attacks and
20 steps three minutes. A run that is stopped or killed resumes after the last
attack.

Expected: report.html with each image under each attack, the change ten times as
strong, and what the net then says. minivgg takes the star for a square under
every attack within 8/255 but the square attack; changes that are least in L2
gather at the points of the star. square_l2 is the square attack in L2: 3,000
squares within a radius of 5 fool both samples. VGG-19 is fooled by every
attack. One step of 0.007 (FGSM), as of the panda that became a gibbon, changes
what GoogLeNet says of 21 of 22 labelled photos: a goldfish is a tench then
(99 %), a forklift a snowplow (98 %), and nothing is to be seen.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Both samples with minivgg; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'adversarial/attack'
  config.seed = 0
  config.net = blocks.net()
  config.images = ('sample:star_and_square', 'sample:crescent_and_cross')
  config.labels = placeholder(str)  # a JSON list of class names
  config.attacks = (
    'fgsm', 'pgd', 'pgd_l2', 'apgd', 'square', 'deepfool', 'carlini_wagner',
    'fmn',
  )  # fmt: skip
  # Class that they lead to, by number or by name; any other.
  config.target = placeholder(str)
  config.epsilon = 8 / 255  # radius in intensities of [0, 1]
  config.l2 = 1.0  # of pgd_l2 and square_l2
  config.steps = 50  # of each attack by gradients
  config.squares = 500  # steps of the square attacks
  if blocks.another_net(config, arg):
    config.images = ()
    config.epsilon = 0.007  # of the panda that became a gibbon
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.images = ('sample:star_and_square',)
  config.steps, config.squares = 2, 3
  return config


def sweep(add) -> None:
  """Radii."""
  add(add.product(epsilon=(1 / 255, 2 / 255, 4 / 255, 16 / 255)))
