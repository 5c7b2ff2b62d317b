"""Trains a generator to draw chairs from style, view and changes.

Dosovitskiy, Springenberg & Brox 2015, on the chairs of `vizlab.data.chair`. The
report shows each change, views between those of the training, mixtures and sums
of styles, units that zoom, turn or brighten, and single units alone.

Command:
  vizlab-run --config=generate/chairs --workdir=runs/chairs

Runtime: 25 minutes on 2 CPU cores, 54 beside other work. A run that is stopped
or killed resumes from its last checkpoint.

Expected: generator.safetensors (half precision), record.json, and report.html.
Chairs of the right shape and colour, with blurred legs and bars; each change
does what its name says; from the sides that it was not trained with the squared
error is 0.010 and the IoU of the mask 0.75, where the nearest side that it was
trained with, as rendered, has 0.021 and 0.66 (0.005 and 0.83 from the sides of
the training). Styles go over into each other, and the sum of features puts arms
or other legs on a chair; of single units, the one for zoom does so a little.
Alone, units of the style's layers draw an average chair in their colour, those
of the joined layers bodies and parts (seen after 800 steps).
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """120 styles from 12 sides, at 64 pixels."""
  config = ConfigDict()
  config.experiment = 'generate/chairs'
  config.seed = 0
  config.size = 64  # side of the images in pixels
  config.styles = 120  # at most all that there are, 240
  # Views around the chair; every second one is trained with.
  config.azimuths = 24
  config.features = 512  # of each dense layer
  # Channels of the maps, from the smallest map to the size of the image.
  config.widths = (128, 96, 64, 32)
  config.streams = 1  # 2: image and mask have decoders of their own
  config.mask = 0.1  # weight of the squared difference of the masks
  config.colour = 8.0  # and of the images' differences from grey
  config.batch_size = 32
  config.steps = 2500
  config.learning_rate = 1e-3
  # Decay of the moving average of the weights that is kept; 0 keeps the last.
  config.ema = 0.0
  config.judged = 256  # chairs that are judged by
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.size, config.styles, config.features = 16, 100, 8
  config.azimuths, config.widths = 8, (8, 4)
  config.batch_size, config.steps, config.judged = 2, 3, 4
  return config


def sweep_streams(add) -> None:
  """One decoder for image and mask, or one for each."""
  add(add.product(streams=(1, 2)))


def sweep(add) -> None:
  """Azimuths that are trained with."""
  add(add.product(azimuths=(8, 12, 48)))
