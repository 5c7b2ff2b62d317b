"""Finds the curve detectors of a network, and the circuit between two layers.

Lines and arcs of all directions and several radii are shown to the unit in the
middle of each map. A channel that responds to one direction and not to the
opposite one is a curve detector (Cammarata et al. 2020). The weights between
the detectors of two layers are turned into one frame.

Commands:
  vizlab-run --config=probes/curves --workdir=runs/curves

Runtime: ten seconds on 2 CPU cores.

Expected: report.html. 27 of the 96 channels of relu3_2 and 36 of the 128 of
relu4_1 are curve detectors: lobes to one side in the polar plots, larger for
arcs than for lines. Detectors of the same direction excite, those across
inhibit; those turned by 45 degrees excite where the arc goes on.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Two layers of minivgg; of ``googlenet`` and others."""
  config = ConfigDict()
  config.experiment = 'probes/curves'
  config.seed = 0
  config.net = blocks.net()
  config.layers = ('relu3_2', 'relu4_1')  # the lower and the upper one
  config.angles = 24  # directions
  config.radii = (6.0, 9.0, 14.0, 24.0)  # in pixels; lines as well
  config.width = 1.5  # of the curves, in pixels
  config.reach = 14.0  # distance over which they fade, in pixels
  config.directed = 0.3  # selectivity from which a channel is a detector
  config.shown = 8  # detectors of each layer that are plotted
  config.batch = 32  # images at once
  if blocks.another_net(config, arg):
    config.layers = ('relu3_1', 'relu3_2')
    config.batch = 8
  if arg == 'googlenet':
    config.layers = ('inception_3a/output', 'inception_3b/output')
    config.radii = (12.0, 20.0, 35.0, 60.0)
    config.width, config.reach = 2.5, 32.0
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu2_1', 'relu3_1')
  config.angles, config.radii = 8, (6.0,)
  config.directed, config.shown = 0.1, 2
  return config


def sweep(add) -> None:
  """Widths by fading, then another net."""
  add(add.product(width=(1.0, 1.5, 2.5), reach=(8.0, 14.0)))
  add(**{'net.weights': 'minivgg_random_labels'})
