"""Measures what a trained network is worth for another task.

A linear classifier on frozen features, tuning of the last layers or of all, and
training from scratch, by how much data the task has and how like the first one
it is: minivgg learned the shapes of scenes. Here they are smaller; textures are
what it learned to ignore; chairs, seen from eight directions, are other images.

Commands:
  vizlab-run --config=training/transfer_learning --workdir=runs/transfer
  vizlab-run --config=training/transfer_learning --config.tasks=data \\
    --config.data=CIFAR10.npz --workdir=runs/transfer_cifar

Needs matplotlib: pip install -e '.[analysis]'.

Runtime: 55 minutes on 2 busy CPU cores. A run that is stopped or killed resumes
within the training that it was in.

Expected: report.html with the accuracy of each strategy. Of little data that
are like the first task a linear classifier makes the most: 93 % of shapes with
ten images per class, where tuning has 65 (all layers) to 73 % (the last), and
training from scratch 6 %. Where the task is another and there is more data, all
layers must be tuned: 75 % of textures with 100 images per class, 36 % by a
linear classifier. From scratch comes near (93 and 96 %) only for directions of
chairs, with 100. What minivgg learned is of little use for the photos of
CIFAR-10 (second command): with 10 and with 100 images per class 22 and 32 % by
a linear classifier, 20 and 34 % with the last layers tuned, 15 and 39 % with
all, and 20 and 35 % from scratch.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """minivgg, with little and with much data."""
  config = ConfigDict()
  config.experiment = 'training/transfer_learning'
  config.seed = 0
  config.net = blocks.net()
  # From like to unlike: 'shapes' (of scenes), 'textures', 'directions' (of
  # chairs), 'data', 'photos'.
  config.tasks = ('shapes', 'textures', 'directions')
  blocks.tasks(config, size=48, examples=4096)
  config.per_class = (10, 100)  # images of each class to learn from
  config.repeats = 2  # with other images and random numbers
  config.strategies = ('linear', 'last', 'all', 'scratch')
  # Last layer that 'last' keeps frozen; for other networks name one.
  config.frozen = 'relu3_2'
  config.features = placeholder(str)  # of 'linear'; what the last layer reads
  blocks.fine_tuning(config, steps=400)
  # Share of the learning rate for tuned layers that were trained before.
  config.slow_share = 0.3
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.tasks = ('shapes',)
  config.size, config.examples, config.tests = 16, 128, 16
  config.per_class, config.repeats = (2,), 1
  config.steps, config.batch_size = 2, 2
  return config


def sweep(add) -> None:
  """Sizes of the data, and the layer up to which all is frozen."""
  add(add.product(per_class=((10,), (30,), (100,))))
  add(add.product(strategies=(('last',),), frozen=('relu2_1', 'relu4_2')))
