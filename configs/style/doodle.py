"""Paints a new picture: the regions of a painting, in another layout.

Champandard 2016 (semantic style transfer and doodles): a painting, a mask whose
colours tell what is where in it, and a mask of the new layout. Each region
gets the Gram matrices of its own in the painting (as in Gatys et al. 2017;
Champandard matches patches).

Commands:
  vizlab-run --config=style/doodle --workdir=runs/doodle
  vizlab-run --config=style/doodle:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.style=PAINTING \\
    --config.style_mask=MASK --config.target_mask=NEWMASK \\
    --workdir=runs/doodle_vgg19

Runtime: half a minute on 2 busy CPU cores; VGG-19 at 256 pixels two minutes. It
can be interrupted and started again: it resumes from the last checkpoint, 20
seconds and 16 steps before at most.

Expected: doodle.png, and report.html with the masks. With minivgg a tee has the
disc's pattern and a flower the heart's colour, on the waves of the ground. With
VGG-19 a river of Renoir's takes its new bed and his trees stand elsewhere, and
Monet's cliffs become others, with brush strokes and no grey in between.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A scene laid out as another with minivgg; ``vgg19``: paintings."""
  config = ConfigDict()
  config.experiment = 'style/doodle'
  config.seed = 1
  config.net = blocks.net('avg')
  config.style = placeholder(str)  # a painting; a drawn scene
  config.style_mask = placeholder(str)  # colours tell its regions
  config.target_mask = placeholder(str)  # the same colours, in the new layout
  # Where a deep layer has few positions, regions lose their shapes.
  config.layers = ('relu1_1', 'relu2_1', 'relu3_1')
  config.weight = 1e6  # of the loss, against that of total variation
  config.size = 128  # pixels of the new painting's shorter side
  # With 'gram' half of a region may stay grey if the rest has more than its
  # share, since only means of products are matched.
  blocks.painting(
    config, steps=120, statistic='covariance', tv=1.0, octaves=3, snapshots=40
  )
  if blocks.another_net(config, arg):
    config.layers = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1')
    config.weight = 1.0
    config.tv = 0.0
    config.size = 256
    config.steps = 80
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu1_1', 'relu2_1')
  config.size, config.steps, config.octaves = 32, 3, 2
  return config


def sweep(add) -> None:
  """Statistics of the regions by the number of sizes."""
  add(
    add.product(
      statistic=('gram', 'moments', 'covariance', 'wasserstein'),
      octaves=(1, 2, 3),
    )
  )
