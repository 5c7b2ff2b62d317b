"""Paints a photo in the style of paintings.

Gatys, Ecker & Bethge 2016: the activations of one layer match the photo's,
the Gram matrices of others those of the painting. The slopes of all layers are
brought to one size (Johnson 2015), so that the same weights suit any net. The
paper's own loss with VGG-19: ``--config.normalise=False --config.alpha=1
--config.beta=10 --config.tv=1000 --config.optimizer=lbfgs``; with minivgg
``--config.beta=2000 --config.tv=5e-4``.

Commands:
  vizlab-run --config=style/transfer --workdir=runs/style
  vizlab-run --config=style/transfer:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.content=PHOTO \\
    --config.styles=PAINTING --workdir=runs/style_vgg19

Runtime: half a minute on 2 busy CPU cores; VGG-19 at 256 pixels two
minutes. It can be interrupted and started again: it resumes from the last
checkpoint, 20 seconds and 16 steps before at most.

Expected: transfer.png, and report.html with the losses. With minivgg the sea,
the star and the square are drawn by the strokes of the swirls. VGG-19 paints a
town by the river with the swirls of The Starry Night; with --config.alpha=0.2
there is more of the town. The loss of the report is that of transfer.png, and
its weighted parts sum to it.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A sample in the style of another with minivgg; ``vgg19``: photos."""
  config = ConfigDict()
  config.experiment = 'style/transfer'
  config.seed = 0
  config.net = blocks.net('avg')
  config.content = 'sample:star_and_square'
  config.styles = ('sample:swirls',)  # or files
  config.shares = ()  # of each style; () for equal shares
  config.masks = ()  # white where each style goes; () everywhere
  config.content_layer = 'relu4_2'
  config.style_layers = blocks.STYLE_LAYERS
  config.style_weights = ()  # of each of those; () for equal weights
  config.alpha = 0.05  # weight of the content, a mean over positions
  config.beta = 1.0  # weight of the style
  config.size = 192  # pixels of the content's shorter side
  config.style_scale = 1.0  # of the style's, as a multiple
  config.start = 'content'  # 'noise', 'style'
  config.colours = 'free'  # 'luminance', 'matched': keeps the content's
  blocks.painting(
    config, steps=150, normalise=True, optimizer='adam', snapshots=40
  )
  if blocks.another_net(config, arg):
    config.size = 256
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.content_layer, config.style_layers = 'relu2_1', ('relu1_1', 'relu2_1')
  config.size, config.steps, config.octaves = 48, 3, 2
  return config


def sweep(add) -> None:
  """The weight of the content by its depth: a sheet of both."""
  add(
    add.product(
      content_layer=('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1'),
      alpha=(0.2, 0.05, 0.0125),
    )
  )


def sweep_optimizer(add) -> None:
  """Optimizers and their rates, from two starts; with the paper's loss.

  Its weights are flags, as above.
  """
  rates = add.chain(
    add.product(optimizer=('adam',), learning_rate=(0.005, 0.02, 0.05)),
    add.product(optimizer=('lbfgs',), learning_rate=(0.02, 0.05, 0.1)),
  )
  add(add.product(rates, start=('content', 'noise'), normalise=(False,)))
