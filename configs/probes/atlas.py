"""Makes an activation atlas: what a layer sees in many images, on one map.

The activations at a random place of each image are laid out in the plane,
averaged in the cells of a grid, and each mean gets the image that excites it
and the class it speaks for (Carter et al. 2019).

Commands:
  vizlab-run --config=probes/atlas --workdir=runs/atlas
  vizlab-run --config=probes/atlas:googlenet \\
    --config.net.weights=googlenet.safetensors --config.photos=FOLDER \\
    --config.labels=imagenet_labels.json --workdir=runs/atlas_googlenet

Runtime: two and a half minutes on 2 CPU cores. A run that is stopped or killed
resumes after the last images.

Expected: report.html, and site/index.html, which zooms and names the class of a
cell under the pointer. In 143 cells: plain backgrounds on the left, arcs,
corners and holes of objects on the right, neighbours alike.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A layer of minivgg over 4096 scenes; of ``googlenet``, photos."""
  config = ConfigDict()
  config.experiment = 'probes/atlas'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'relu4_2'
  config.labels = placeholder(str)  # JSON list of the names of the classes
  config.scenes = 4096  # scenes of two objects
  # A folder (or pattern) of photos instead.
  config.photos = placeholder(str)
  config.method = 'tsne'  # 'pca', 'umap'
  config.perplexity = 30.0  # of 'tsne'; of 'umap', the neighbours
  config.grid = 14  # cells along a side
  config.least = 4  # images of a cell
  blocks.icons(config, power=2.0)
  config.batch = 32  # images read at once
  if blocks.another_net(config, arg):
    config.layer = 'relu5_1'
    config.grid, config.least = 8, 2
    blocks.larger_icons(config)
    config.batch = 8
  if arg == 'googlenet':
    config.layer = 'inception_4d/output'
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layer, config.method = 'relu3_2', 'pca'
  config.scenes, config.batch = 12, 6
  config.grid, config.least = 2, 1
  config.size, config.steps, config.icons_batch = 32, 1, 4
  return config


def sweep(add) -> None:
  """Layers."""
  add(add.product(layer=('relu2_1', 'relu3_2', 'relu4_2', 'relu5_2')))
