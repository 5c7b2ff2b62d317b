"""Shows the features of a network while it is trained.

minivgg is trained again on scenes and kept after 1, 2, 5, 10, 20, 30, 40 and 64
epochs. For random units of each layer, what the deconvnet projects back from
the scene that excites it most (Zeiler & Fergus 2014, figure 4), and for all
units the correlation of their maps with those after the last epoch.

Command:
  vizlab-run --config=probes/through_training --workdir=runs/through_training

Runtime: eight to ten minutes on 2 CPU cores. A run that is stopped or killed
resumes from its last checkpoint.

Expected: report.html with a row for each unit: noise at first, textures from
epoch 10 on, outlines of shapes from epoch 30 on. 90 % of fresh scenes are named
rightly in the end. The lower a layer, the earlier its maps settle: they
correlate above 0.9 with the final ones after 40 epochs up to relu3_2, later in
relu4_2 and relu5_2.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """minivgg on scenes of 64 pixels."""
  config = ConfigDict()
  config.experiment = 'probes/through_training'
  config.seed = 0
  blocks.training(config, stages=((64, 320),))
  # Those after which the net is kept; the last one ends the training.
  config.epochs = (1, 2, 5, 10, 20, 30, 40, 64)
  config.layers = ('relu1_1', 'relu2_1', 'relu3_2', 'relu4_2', 'relu5_2')
  config.units = 4  # random ones of each layer, which are drawn
  config.scenes = 256  # scenes of two objects to search
  config.batch = 32  # scenes at once
  config.eval_scenes = 1024
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.stages, config.batch_size = ((32, 4),), 4
  config.warmup_steps, config.calibration_batches = 1, 1
  config.epochs = (1, 2)
  config.layers = ('relu1_1', 'relu3_2')
  config.units, config.scenes, config.batch = 2, 6, 4
  config.eval_scenes = 4
  return config


def sweep(add) -> None:
  """Objects whose texture tells their class, and such where it does not."""
  add(add.product(correlation=(0.0, 1.0)))
