"""Lays images out in the plane by what a layer sees in them.

Principal components, t-SNE (van der Maaten & Hinton 2008) or UMAP (McInnes,
Healy & Melville 2018; install the extra umap) of the features of a layer; the
pictures at their positions, and on a grid without overlaps.

Commands:
  vizlab-run --config=probes/maps --workdir=runs/maps
  vizlab-run --config=probes/maps:googlenet \\
    --config.net.weights=googlenet.safetensors --config.photos=FOLDER \\
    --workdir=runs/maps_googlenet

The folder holds photos whose names begin with the number of their class, such
as 282_cat.png.

Runtime: twenty seconds on 2 CPU cores; GoogLeNet with 300 photos one minute.

Expected: report.html. The same shapes are beside each other, whatever their
colours. Trustworthiness 0.97; 64 % of the ten nearest pictures in the map hold
the first object of a picture, 65 % of those in the layer.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """The last hidden layer of minivgg over 400 scenes; ``googlenet``, photos."""
  config = ConfigDict()
  config.experiment = 'probes/maps'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'gap'  # of a map, the mean over its positions
  config.method = 'tsne'  # 'pca', 'umap'
  config.perplexity = 20.0  # of 'tsne'; of 'umap', the neighbours
  config.scenes = 400  # scenes of two objects
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.side = 48  # of a picture in the map, in pixels
  config.batch = 32  # images at once
  if blocks.another_net(config, arg):
    config.layer = 'pool5'
    config.batch = 8
  if arg == 'googlenet':
    config.layer = 'pool5/7x7_s1'
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes, config.batch, config.perplexity = 24, 12, 5.0
  config.side = 16
  return config


def sweep(add) -> None:
  """Layers by methods."""
  add(
    add.product(
      layer=('relu1_1', 'relu3_2', 'relu5_2', 'gap'), method=('tsne', 'pca')
    )
  )
