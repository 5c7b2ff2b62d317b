"""Makes textures from noise that share the Gram matrices of a picture.

Gatys, Ecker & Bethge 2015: the deeper the layers that are matched, the larger
the structures that come back, and nothing of where they were.

Commands:
  vizlab-run --config=style/texture --workdir=runs/texture
  vizlab-run --config=style/texture:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=BRICK,GRASS \\
    --workdir=runs/texture_vgg19

Runtime: four minutes on 2 busy CPU cores. It can be killed and started
again: it goes on from the last checkpoint, 20 seconds and 16 steps before at
most.

Expected: report.html with a row a picture: the colours and scraps of the
objects with relu1_1 alone; new swirls around new lights, and whole objects in
new places, with relu4_1. Of the swirls the Gram matrices of all layers are 7 %
away with relu1_1 and 0.8 % with all. With
``:vgg19_by_number`` VGG-19 makes gravel of 1k statistics that has its grain and
not its colour, and of 10k, 177k and 852k gravel that one takes for the original
(co-occurrence 0.01 to 0.02 away); bricks become straighter with each (0.13,
0.10, 0.07, 0.08), and stay flat in places: Gram matrices allow it, which is why
doodles match covariances.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks

_POOLS = ('relu1_1', 'pool1', 'pool2', 'pool3', 'pool4')


def get_config(arg: str = '') -> ConfigDict:
  """Both samples with minivgg; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'style/texture'
  config.seed = 0
  config.net = blocks.net('avg')
  config.images = ('sample:swirls', 'sample:star_and_square')
  # What is matched: layers by commas, and of each the first so many principal
  # components, as in 'relu1_1,pool1:20'. A column of the sheet for each model.
  config.models = _by_depth('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1')
  config.weight = 1e6  # of the loss, against that of total variation
  config.size = 128  # side of the images in pixels
  blocks.painting(config, steps=300, octaves=3)
  arch, _, by = arg.partition('_by_')
  if blocks.another_net(config, arch):
    config.images = ()
    config.models = _by_depth(*_POOLS)
    config.weight = 1.0
    config.size = 256
    config.octaves = 2
  if by == 'number':
    config.models = _by_number()
  return config


def _by_depth(*layers: str) -> str:
  """The first layer, the first two, and so on."""
  return '; '.join(','.join(layers[: i + 1]) for i in range(len(layers)))


def _by_number() -> str:
  """About 1k, 10k, 177k and 852k statistics of VGG-19."""
  pools, blocks = ','.join(_POOLS), ((1, 2), (2, 2), (3, 4), (4, 4))
  convs = [f'relu{i}_{j + 1}' for i, n in blocks for j in range(n)]
  every = ','.join((*convs, *_POOLS[1:]))
  return f'{pools}:19; {pools}:64; {pools}; {every}'


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.models = 'relu1_1:3; relu1_1,relu2_1'
  config.images = ('sample:star_and_square',)
  config.size, config.steps, config.octaves = 32, 3, 2
  return config


def sweep(add) -> None:
  """Statistics by the number of sizes."""
  add(
    add.product(
      statistic=('gram', 'moments', 'covariance', 'wasserstein'),
      octaves=(1, 3),
    )
  )
