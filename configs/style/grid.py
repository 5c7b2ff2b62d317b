"""Style transfer as a grid: the depth of the style, the weight of the content.

Gatys, Ecker & Bethge 2016, figure 3 of the paper of 2015 (A neural algorithm of
artistic style): deeper layers carry larger strokes, and the weight of the
content decides how much of the photo stays.

Commands:
  vizlab-run --config=style/grid --workdir=runs/grid
  vizlab-run --config=style/grid:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.content=PHOTO \\
    --config.styles=PAINTING --workdir=runs/grid_vgg19

Runtime: 50 seconds on 2 busy CPU cores; VGG-19 at 192 pixels 14 minutes beside
other work.

Expected: grid.png. With VGG-19, the photo in other colours up to relu2_1, short
strokes from relu3_1 on, and the swirls of The Starry Night from relu4_1; at
0.01 there is little of the town, at 10 little of the painting. With minivgg
the columns differ, from the colours of the style to the photo; the rows hardly.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """The samples with minivgg; ``vgg19`` and others, photos."""
  config = ConfigDict()
  config.experiment = 'style/grid'
  config.seed = 0
  config.net = blocks.net('avg')
  config.content = 'sample:star_and_square'
  config.styles = ('sample:crescent_and_cross',)  # or files
  config.shares = ()  # of each style; () for equal shares
  config.content_layer = 'relu3_1'
  config.style_layers = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1')
  # Weights of the content as multiples of that of the style.
  config.ratios = (1e-4, 1e-3, 1e-2, 1e-1)
  config.beta = 1e6  # weight of the style
  config.size = 128  # pixels of the content's shorter side
  config.start = 'content'  # 'noise', 'style'
  config.colours = 'free'  # 'luminance', 'matched': keeps the content's
  blocks.painting(config, steps=80, tv=1.0)
  if blocks.another_net(config, arg):
    config.content_layer = 'relu4_2'
    config.style_layers = blocks.STYLE_LAYERS
    config.beta = 1000.0
    config.tv = 0.0
    config.ratios = (0.01, 0.1, 1.0, 10.0)
    config.size = 192
    config.steps = 60
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.content_layer, config.style_layers = 'relu2_1', ('relu1_1', 'relu2_1')
  config.size, config.steps, config.ratios = 32, 2, (1e-3, 1e-1)
  return config


def sweep(add) -> None:
  """The same sheet from each start, with each way to keep colours."""
  add(
    add.product(
      start=('content', 'noise', 'style'),
      colours=('free', 'luminance', 'matched'),
    )
  )
