"""Finds the images that are nearest in the features of a layer.

A row for each query: its nearest neighbours by the features of a layer, and
beside them those by pixels (Krizhevsky et al. 2012, figure 4).

Commands:
  vizlab-run --config=probes/neighbours --workdir=runs/neighbours
  vizlab-run --config=probes/neighbours:googlenet \\
    --config.net.weights=googlenet.safetensors --config.photos=FOLDER \\
    --workdir=runs/neighbours_googlenet

The folder holds photos whose names begin with the number of their class, such
as 282_cat.png.

Runtime: ten seconds on 2 CPU cores; GoogLeNet with 300 photos half a minute. A
run that is stopped or killed resumes after the last batch of pictures.

Expected: report.html with rows of images that hold the shapes of the query, in
other places and colours; neighbours by pixels have its colours. 85 % of the
neighbours by features of minivgg hold the first object of the query, 18 % of
those by pixels, 13 % by chance. With GoogLeNet birds are beside birds, and
towers beside towers.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """The last hidden layer of minivgg over 512 scenes; ``googlenet``, photos."""
  config = ConfigDict()
  config.experiment = 'probes/neighbours'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'gap'  # of a map, the mean over its positions
  config.metric = 'cosine'  # 'euclidean'
  config.images = ()  # queries: pictures; () for the first of those searched
  config.count = 8  # how many of those
  config.neighbours = 5  # of each query
  config.scenes = 512  # scenes of two objects to search
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.batch = 32  # pictures at once
  if blocks.another_net(config, arg):
    config.layer = 'fc7'
    config.batch = 8
  if arg == 'googlenet':
    config.layer = 'pool5/7x7_s1'
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes, config.batch = 8, 5
  config.count, config.neighbours = 2, 3
  return config


def sweep(add) -> None:
  """From layer to layer, neighbours come to share more than colours."""
  add(
    add.product(
      layer=('relu1_1', 'relu2_1', 'relu3_2', 'relu4_2', 'gap'),
      metric=('cosine', 'euclidean'),
    )
  )
