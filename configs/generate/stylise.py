"""Paints photos with a trained image transformation network.

One pass a photo (Johnson, Alahi & Fei-Fei 2016). Reads the networks that
`generate/fast_style` trains, ``.pth`` files of PyTorch's fast neural style
example, and those of Engstrom's Fast Style Transfer as ``.npz``.

Command:
  vizlab-run --config=generate/stylise \\
    --config.net.weights=fast_style.safetensors --config.images=PHOTO,... \\
    --workdir=runs/stylise

Runtime: about a second a photo of 512 pixels on 2 CPU cores, and as much again
for the measures. A run that is stopped resumes after the last photo.

Expected: a PNG for each photo (of a network of several styles one in each), and
report.html with the seconds and artefacts: the scenes in the colours and
strokes of four paintings, with a fine mesh (5 times as strong as the
frequencies beside it). ``--config.shares=0.5,0,0.5,0`` paints one picture
between the first and the third. Without ``border``, many networks frame their
pictures.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """Both samples by the network that ships with vizlab."""
  config = ConfigDict()
  config.experiment = 'generate/stylise'
  config.net = blocks.net()
  config.net.weights = 'fast_style_paintings'
  config.images = ('sample:star_and_square', 'sample:crescent_and_cross')
  config.size = 512  # pixels of the shorter side
  # Shares of the styles of a network of several; none paints each alone.
  config.shares = ()
  config.border = 40  # pixels by which each photo is continued, and cropped
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.images, config.size = ('sample:star_and_square',), 48
  return config


def sweep(add) -> None:
  """Borders, from none to a wide one."""
  add(add.product(border=(0, 16, 80)))
