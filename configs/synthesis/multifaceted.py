"""The facets of a unit: one image for each kind of picture that excites it.

Nguyen, Yosinski & Clune 2016: the unit's best pictures, their activations,
principal components, t-SNE, k-means; the mean picture of each cluster is where
the optimization starts.

Commands:
  vizlab-run --config=synthesis/multifaceted --workdir=runs/facets
  vizlab-run --config=synthesis/multifaceted:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.photos=FOLDER \\
    --workdir=runs/facets_vgg19

The folder holds photos whose names begin with the number of their class. Needs
scikit-learn and matplotlib: pip install -e '.[analysis]'.

Runtime: under a minute on 2 busy CPU cores; VGG-19 two minutes.

Expected: report.html with a row a facet: three of its pictures, their mean, and
the image that grows from it; and the map of all pictures. On scenes the facets
differ in colour and place more than in kind, as what excites a channel of
minivgg is one pattern.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A channel of minivgg over scenes; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'synthesis/multifaceted'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'relu4_2'  # of the unit
  config.channel = 18
  config.codes = 'relu3_2'  # the layer by which pictures are told apart
  config.scenes = 1024  # scenes of two objects to search
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.top = 200  # pictures that excite the unit most
  config.facets = 4
  config.near = 15  # pictures of a mean
  config.size = 96  # side of the images in pixels
  config.steps = 100
  config.learning_rate = 0.02
  config.batch = 64  # pictures looked at, at once
  if blocks.another_net(config, arg):
    config.layer, config.codes, config.channel = 'fc8', 'relu7', 282
    config.top, config.near, config.batch = 20, 3, 4
    config.size = 224
    config.steps = 64
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layer, config.codes = 'relu2_1', 'relu1_1'
  config.scenes, config.top, config.facets, config.near = 16, 12, 2, 3
  config.size, config.steps = 32, 2
  return config


def sweep(add) -> None:
  """Number of facets by the number of best pictures."""
  add(add.product(top=(100, 200), facets=(2, 4, 6)))
