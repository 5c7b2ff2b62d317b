"""Shows the patches that excite units most, as the deconvnet paper does.

For every channel the pictures in which it fires most strongly, and what the
deconvnet and guided backprop send back from it to the pixels, cropped to what
the unit sees (Zeiler & Fergus 2014, figure 2; Springenberg et al. 2015, figure
3).

Commands:
  vizlab-run --config=probes/units --workdir=runs/units
  vizlab-run --config=probes/units:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.photos=FOLDER \\
    --workdir=runs/units_vgg19

The folder holds photos whose names begin with the number of their class, such
as 282_cat.png.

Runtime: ten seconds on 2 CPU cores; with VGG-19 and 22 photos half a minute. A
run that is stopped or killed resumes after the last batch of pictures.

Expected: report.html with a row for every channel. The nine patches of a row
have something in common, such as an edge, a texture or a corner, and guided
backprop draws it sharply on grey.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Channels of minivgg over 512 scenes; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'probes/units'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'relu3_2'
  config.channels = ()  # numbers; () for those that fire most
  config.count = 6  # how many of those
  config.unit = 'neuron'  # the one at the peak, or 'channel': all of its map
  config.top = 9  # pictures of a channel
  config.scenes = 512  # scenes of two objects to search
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  config.batch = 32  # pictures at once
  if blocks.another_net(config, arg):
    config.layer = 'relu4_1'
    config.batch = 4
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layer = 'relu2_1'
  config.scenes, config.batch = 6, 3
  config.count, config.top = 2, 4
  return config


def sweep(add) -> None:
  """Layer by layer, the peak or all of a map."""
  add(
    add.product(
      layer=('relu1_1', 'relu2_1', 'relu3_2', 'relu4_2', 'relu5_2'),
      unit=('neuron', 'channel'),
    )
  )
