"""Measures how general the layers of a network are, by depth.

The first n layers of a network A are copied into one that learns a task B, and
stay frozen or are tuned; the layers above are random. Beside this transfer, the
same with layers of a network that learned B itself: where the copy of those is
worse than the whole network, layers were torn apart that had learned together;
where the copy of A is worse than that, layers are made for the task of A
(Yosinski et al. 2014).

Command:
  vizlab-run --config=training/transferability --workdir=runs/transferability

Needs matplotlib: pip install -e '.[analysis]'.

Runtime: 45 minutes on 2 busy CPU cores. A run that is stopped or killed resumes
within the training that it was in.

Expected: report.html with the four curves by the last copied layer. Learned
whole, directions of chairs have 98 %; so have all copies that are tuned, and
frozen ones of the network itself. Frozen layers of minivgg, which learned
shapes, serve as well up to pool3 (97 %), then less: 93 % up to pool4, and 52 %
up to relu5_2.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """From the shapes of scenes, which minivgg learned, to views of chairs."""
  config = ConfigDict()
  config.experiment = 'training/transferability'
  config.seed = 0
  config.net = blocks.net()
  # The task B: 'directions' (of chairs), 'shapes' (of scenes), 'textures',
  # 'data' or 'photos'.
  config.task = 'directions'
  blocks.tasks(config, size=48, examples=4096)
  config.per_class = 200  # images of each class to learn from
  config.repeats = 1  # with other images and random numbers
  # The last layer that is copied.
  config.layers = ('pool1', 'pool2', 'pool3', 'pool4', 'relu5_2')
  blocks.fine_tuning(config, steps=400)
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('pool1', 'relu5_2')
  config.size, config.examples, config.tests = 16, 128, 16
  config.per_class = 2
  config.steps, config.batch_size = 2, 2
  return config


def sweep(add) -> None:
  """Another task, and other images."""
  add(add.product(task=('textures', 'directions'), seed=(0, 1)))
