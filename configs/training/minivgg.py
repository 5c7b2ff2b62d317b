"""Trains minivgg, the net that ships with vizlab, on procedural scenes.

Command:
  vizlab-run --config=training/minivgg --workdir=/tmp/minivgg

Runtime: about 35 minutes on 2 CPU cores. It can be killed and started again:
it resumes from its last checkpoint.

Expected: at least 97 % on 2,048 fresh one-object scenes (99.4 % for the net
that ships; another machine or version rounds otherwise and ends near it). The
work directory holds minivgg.safetensors and record.json; the ones in
vizlab/nets/weights/data are copies of such.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config(arg: str = '') -> ConfigDict:
  """The settings that made the nets that ship: '' or ``random_labels``."""
  config = ConfigDict()
  config.experiment = 'training/minivgg'
  config.seed = 0
  # (side of the images in pixels, steps): small images first, they are cheap.
  config.stages = ((64, 700), (96, 500))
  config.batch_size = 128
  config.learning_rate = 3e-3
  config.warmup_steps = 100
  config.weight_decay = 0.05
  config.first_kernel_scale = 0.02  # of the first layer, at the start
  config.noise = 0.1  # the strongest noise on an image, in units of 1
  config.two_objects = 0.25  # share of the scenes that hold two objects
  config.correlation = 0.0  # of texture with shape, in [0, 1]
  # Learn one set of so many scenes; always fresh.
  config.fixed_scenes = placeholder(int)
  config.random_labels = False  # of the fixed set: there is nothing to learn
  config.calibration_batches = 16  # for the statistics that are folded in
  config.eval_scenes = 2048
  if arg == 'random_labels':
    config.fixed_scenes = 512
    config.random_labels = True
    config.stages = ((64, 600),)
    config.noise = 0.0
    config.two_objects = 0.0
    config.weight_decay = 0.0
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.stages = ((32, 3), (48, 2))
  config.batch_size = 4
  config.warmup_steps = 1
  config.calibration_batches = 2
  config.eval_scenes = 16
  return config


def sweep(add) -> None:
  """Nets that go by shape, by both and by texture, for cue_conflict."""
  add(add.product(correlation=(0.0, 0.5, 1.0)))


def sweep_recipe(add) -> None:
  """The recipe at random, around what made the net that ships."""
  add(
    add.random(
      16,
      seed=0,
      learning_rate=add.log_uniform(3e-4, 3e-2),
      weight_decay=add.log_uniform(1e-3, 0.3),
      noise=add.choice(0.0, 0.05, 0.1, 0.2),
    )
  )
