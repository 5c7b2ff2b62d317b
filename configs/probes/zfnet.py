"""Compares first layers of large filters and stride with small ones.

Zeiler & Fergus (2014, section 4.1) saw dead units and aliasing in AlexNet's
first layers, and took 7x7 filters of stride 2 in place of 11x11 ones of stride
4. Here two small networks that differ in this are trained in the same way on
scenes:
their filters and spectra, dead units, the energy that the stride aliases, and
the strongest patches of the second layer on the same scenes.

Command:
  vizlab-run --config=probes/zfnet --workdir=runs/zfnet

Runtime: five to eight minutes on 2 CPU cores. A run that is stopped or killed
resumes from its last checkpoint.

Expected: report.html. The stride of 4 aliases 25 % of the energy of the first
filters, that of 2 11 %; of what the second layer makes of the image 17 % and
8 %, and the projections of the former show the grid. 41 % and 57 % of fresh
scenes are classified correctly. No unit is dead in either, so that this part of
the paper's claim is not seen at this size.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """Both networks on scenes of 96 pixels."""
  config = ConfigDict()
  config.experiment = 'probes/zfnet'
  config.seed = 0
  blocks.training(config, stages=((96, 320),))
  config.width = 32  # filters of the first layer
  config.scenes = 256  # scenes of two objects to search
  config.batch = 32  # scenes at once
  config.units = 6  # of the second layer, those that fire most
  config.top = 6  # patches of a unit
  config.eval_scenes = 1024
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.stages, config.batch_size = ((32, 3),), 4
  config.warmup_steps, config.calibration_batches = 1, 1
  config.width, config.units, config.top = 4, 2, 2
  config.scenes, config.batch, config.eval_scenes = 4, 4, 4
  return config


def sweep(add) -> None:
  """Both kinds of network, from several seeds."""
  add(add.product(seed=(0, 1, 2)))
