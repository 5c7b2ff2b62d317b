"""Measures what a linear classifier reads from each layer of a network.

Linear probes (Alain & Bengio 2017) on frozen features by depth: how separable
the classes of a task are in each layer, in the network, in others and in the
one before its training.

Commands:
  vizlab-run --config=probes/linear_probes --workdir=runs/linear_probes
  vizlab-run --config=probes/linear_probes:googlenet \\
    --config.net.weights=googlenet.safetensors --config.untrained=False \\
    --config.tasks=data --config.data=CIFAR10.npz --config.per_class=100 \\
    --workdir=runs/linear_probes_cifar
  vizlab-run --config=probes/linear_probes:googlenet \\
    --config.net.weights=googlenet.safetensors --config.untrained=False \\
    --config.tasks=photos --config.photos=FOLDER --config.per_class=13 \\
    --workdir=runs/linear_probes_photos

Needs matplotlib: pip install -e '.[analysis]'.

Runtime: six minutes on 2 busy CPU cores; a minute for GoogLeNet. A run that is
stopped or killed resumes after the last layer.

Expected: report.html with accuracy by layer. In minivgg the 16 shapes that it
learned become separable from relu4_1 on, to 99 %; textures, which it learned to
ignore, stop at 65 % there; and eight directions of chairs are best in relu4_1
(94 %) and partly lost at the end (77 %). Of a network with random labels it is
14, 28 and 84 % at most, before any training 9, 20 and 75 %. With 100 images of
each class, CIFAR-10 at its 32 pixels is best in early layers: in inception_3b
of GoogLeNet (67 %, at the end 47 %), in relu4_4 of VGG-19 (65, at the end 51 %)
and in fire4 of SqueezeNet (58, at the end 37 %). Groups of photos need the last
ones: 31 % in the first layer of GoogLeNet and 80 % in the last, 28 and 69 % of
SqueezeNet, 27 and 77 % of VGG-19.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """minivgg, one that learned random labels, and untrained; ``googlenet``."""
  config = ConfigDict()
  config.experiment = 'probes/linear_probes'
  config.seed = 0
  config.net = blocks.net()
  config.others = ('minivgg_random_labels',)  # weights of other nets to compare
  config.untrained = True  # compares with the network before its training
  config.layers = (*blocks.MINIVGG_RELUS, 'gap')
  # 'shapes' (of scenes), 'textures', 'directions' (of chairs), 'data' or
  # 'photos'.
  config.tasks = ('shapes', 'textures', 'directions')
  blocks.tasks(config, size=96, examples=2048)
  config.per_class = 50  # images of each class to learn from
  # Means over the bins of a grid of so many rows and columns stand for a map.
  config.positions = 2
  config.decays = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # one is chosen
  config.batch = 32  # images at once
  if blocks.another_net(config, arg):
    config.others = ()
  if arg == 'googlenet':
    config.layers = (
      'conv1/relu_7x7',
      'conv2/relu_3x3',
      *blocks.INCEPTIONS,
    )
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.others, config.layers = (), ('relu1_1', 'gap')
  config.tasks = ('shapes',)
  config.size, config.examples, config.tests = 16, 128, 16
  config.per_class, config.decays = 2, (0.1, 1.0)
  return config


def sweep(add) -> None:
  """Amounts of data."""
  add(add.product(per_class=(10, 30, 100)))
