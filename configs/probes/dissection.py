"""Names units by the concepts on whose masks they are active.

Network dissection (Bau et al. 2017) on scenes, whose shapes, textures and
colours are known for each pixel; then the importance of named units for each
class, in sentences, and its proof by ablation (Selvaraju et al. 2017).

Commands:
  vizlab-run --config=probes/dissection --workdir=runs/dissection

Runtime: one and a half minutes on 2 CPU cores. A run that is stopped or killed
resumes after the last 256 scenes.

Expected: report.html. Of relu1_1 6 % of the units have a name (of colours), of
relu2_1 23 % (zigzags, mostly), of relu3_2 1 %, of relu4_2 33 % and of relu5_2
87 % (of shapes). With masks of other scenes (``--config.shuffled=True``) no
unit has a name. The three units that speak most for a star are two of stars and
one of triangles; above relu5_2 the network is linear, and the weights agree
with ablation exactly.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """Five layers of minivgg over 1024 scenes."""
  config = ConfigDict()
  config.experiment = 'probes/dissection'
  config.seed = 0
  config.net = blocks.net()
  config.layers = ('relu1_1', 'relu2_1', 'relu3_2', 'relu4_2', 'relu5_2')
  config.scenes = 1024  # scenes of two objects
  config.quantile = 0.995  # of a unit's activations, where it is active
  config.least = 0.04  # intersection over union above which a unit has a name
  config.shuffled = False  # masks of other scenes: what chance would name
  config.explained = 'relu5_2'  # layer whose units speak for classes
  config.units = 3  # named for each class, and against it
  config.shown = 8  # units of each layer whose scenes are shown
  config.batch = 32  # scenes at once
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu3_2', 'relu5_2')
  config.scenes, config.batch = 12, 6
  config.shown = 2
  return config


def sweep(add) -> None:
  """The trained network, and the one that learned random labels; chance."""
  add(add.product(**{'net.weights': ('minivgg', 'minivgg_random_labels')}))
  add(shuffled=True)
