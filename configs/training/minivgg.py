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

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """The settings that made the nets that ship: '' or ``random_labels``."""
  config = ConfigDict()
  config.experiment = 'training/minivgg'
  config.seed = 0
  blocks.training(config, stages=((64, 700), (96, 500)))
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
