"""Compares layers of a network with each other and with those of another one.

Linear centred kernel alignment (Kornblith et al. 2019) or SVCCA (Raghu et al.
2017) of the activations for the same pictures: which layers see alike, and from
where on two networks differ.

Commands:
  vizlab-run --config=probes/similarity --workdir=runs/similarity
  vizlab-run --config=probes/similarity:googlenet \\
    --config.net.weights=googlenet.safetensors --config.photos=FOLDER \\
    --workdir=runs/similarity_googlenet

``--config.other=FILE`` compares with other weights of an architecture with the
same layers.

Runtime: twenty to thirty seconds on 2 CPU cores; GoogLeNet with 300 photos one
minute.

Expected: report.html with a matrix of the layers of minivgg, and one of minivgg
and the network that learned random labels. Neighbouring layers are alike (0.98
of relu3_1 and relu3_2), and the first layers of both (0.90); its relu4_1 to
relu5_1 see what minivgg sees from relu3_1 on (0.8 to 0.9), and the last layers
have nothing in common (0.03). In GoogLeNet similarity falls evenly with the
distance, to 0.48 between inception_3a and inception_5b.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """minivgg and the one that learned random labels; ``googlenet``, photos."""
  config = ConfigDict()
  config.experiment = 'probes/similarity'
  config.seed = 0
  config.net = blocks.net()
  # Weights of the other network; none compares the layers of one.
  config.other = placeholder(str)
  config.layers = (*blocks.MINIVGG_RELUS, 'fc')
  config.measure = 'cka'  # 'svcca'
  config.kept = 0.99  # share of the variance; of 'svcca'
  # Means over the bins of a grid of so many rows and columns stand for a map.
  config.positions = 4
  config.scenes = 512  # scenes of two objects
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.batch = 32  # images at once
  if not blocks.another_net(config, arg):
    config.other = 'minivgg_random_labels'
  if arg == 'googlenet':
    config.layers = blocks.INCEPTIONS
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes, config.batch = 12, 6
  config.layers = ('relu1_1', 'fc')
  return config


def sweep(add) -> None:
  """Both measures, of whole maps and of their means."""
  add(add.product(measure=('cka',), positions=(1, 4)))
  add(add.product(measure=('svcca',), positions=(1,)))
