"""Learns a sparse dictionary of a layer's activations.

A top-k autoencoder (Makhzani & Frey 2014; Gao et al. 2024) writes the
activations at each position as a sum of few of many atoms. The report compares
its explained variance with those of NMF, of principal components and of the
strongest units, and shows an image and the strongest patches of each atom.

Commands:
  vizlab-run --config=probes/dictionary --workdir=runs/dictionary
  vizlab-run --config=probes/dictionary:googlenet \\
    --config.net.weights=googlenet.safetensors --config.photos=FOLDER \\
    --workdir=runs/dictionary_googlenet

Runtime: less than a minute on 2 CPU cores. A run that is stopped or killed
resumes from its last checkpoint.

Expected: report.html. With eight numbers per position, 256 atoms explain 87 %
of the variance of relu4_2 on held-out scenes, the eight strongest units 72 %,
eight principal components 41 %; 32 factors of NMF, 16 of them active, 57 %. No
atom is silent; some stand for rings, small discs, stars, corners of shapes or
the border of the image.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A layer of minivgg over 2048 scenes; of ``googlenet``, photos."""
  config = ConfigDict()
  config.experiment = 'probes/dictionary'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'relu4_2'
  config.scenes = 2048  # scenes of two objects
  # A folder (or pattern) of photos instead.
  config.photos = placeholder(str)
  config.positions = 16  # random ones of each image
  config.atoms = 256
  config.active = 8  # at most, at a position
  config.factors = 32  # of NMF
  config.training_steps = 3000
  config.training_batch = 512
  config.training_rate = 2e-3
  config.patience = 100  # steps after which a silent atom counts as dead
  config.shown = 12  # atoms, those that add most
  config.patches = 7  # of each
  blocks.icons(config, power=2.0, batch=12)
  config.batch = 32  # images read at once
  if blocks.another_net(config, arg):
    config.layer = 'relu5_1'
    config.positions, config.atoms = 64, 1024
    blocks.larger_icons(config, batch=6)
    config.batch = 8
  if arg == 'googlenet':
    config.layer = 'inception_4c/output'
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layer = 'relu2_1'
  config.scenes, config.batch, config.positions = 16, 8, 8
  config.atoms, config.active, config.factors = 12, 3, 4
  config.training_steps, config.training_batch = 30, 32
  config.shown, config.patches = 2, 2
  config.size, config.steps, config.icons_batch = 32, 1, 2
  return config


def sweep(add) -> None:
  """Sparsity and number of atoms."""
  add(add.product(active=(4, 8, 16), atoms=(128, 256, 512)))
