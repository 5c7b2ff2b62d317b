"""Accuracy under attack: the worst case over several attacks, with warnings.

Commands:
  vizlab-run --config=adversarial/robustness --workdir=runs/robustness
  vizlab-run --config=adversarial/robustness --config.data=cifar10.npz \\
    --config.net.weights=resnet20.npz --config.others= \\
    --workdir=runs/robustness_cifar

Needs matplotlib: pip install -e '.[analysis]'.

Runtime: four minutes on 2 busy CPU cores. A run that is stopped or killed
resumes after the last batch of a net.

Expected: report.html with the curves of both nets and of each attack, and
warnings, of which there are none. On 24 scenes both nets are right about all;
within 4/255 the plain one about 54 % and the robust one 96 %, within 8/255 0 %
and 71 %, within 16/255 0 % and 4 %. A plain ResNet-20 is right about 91.5 % of
1,000 images of CIFAR-10 (second command), and about 0.3 % within 2/255, in four
minutes for that radius alone (``--config.epsilons=0.0078``).
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """The two nets that ship, on scenes."""
  config = ConfigDict()
  config.experiment = 'adversarial/robustness'
  config.seed = 0
  config.net = blocks.net()
  blocks.judging(config)
  config.norm = 'linf'  # 'l2'
  # Radii in intensities of [0, 1], beside 0.
  config.epsilons = (2 / 255, 4 / 255, 8 / 255, 16 / 255)
  config.batch = 24  # images at once
  config.steps = 20  # of the attacks by gradients
  config.targets = 2  # other classes that are aimed at
  config.squares = 100  # steps of the square attack
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.others = ('minivgg_random_labels',)
  config.scenes, config.batch, config.epsilons = 3, 2, (8 / 255,)
  config.steps, config.targets, config.squares = 2, 1, 3
  return config


def sweep(add) -> None:
  """Balls of L2, and more steps."""
  add(add.product(norm=('l2',), epsilons=((0.5, 1.0, 2.0),)))
  add(add.product(steps=(50, 200)))
