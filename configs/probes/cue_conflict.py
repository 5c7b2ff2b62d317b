"""Measures whether nets go by shape or by texture, where the two disagree.

Geirhos et al. 2019: an image with the shape of one category and the texture of
another tells what a net looks at. The shape bias is the share of decisions for
the shape among those for either.

Commands:
  vizlab-run --config=probes/cue_conflict --workdir=runs/conflict
  vizlab-run --config=probes/cue_conflict:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.images=FOLDER \\
    --workdir=runs/conflict_vgg19

The images are scenes, pictures that say by their names what is on them, or
photos (--config.contents) painted in the style of others (--config.styles) by
the net of config.net: compare its own bias with others' on images that neither
has painted.
Nets that look at textures come from training/minivgg with
--config.correlation=1; they are compared by --config.others=WEIGHTS.

Runtime: ten seconds, and as long for VGG-19 on eight pictures; painting takes
as long as style/transfer a picture.

Expected: report.html with the shares. minivgg, which learned scenes of any
texture, decides for the shape in 99 % and for the texture in none; trained for
400 steps with --config.correlation=0.5 in 57 % and 3 %, with 1.0 in 30 % and
10 %, and else for neither: what it knows is both together. VGG-19 decides for
the texture in 5 of the 8 pictures and for the shape in 2, a shape bias of 0.29.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Scenes with minivgg; ``vgg19`` and others: pictures of ImageNet's."""
  config = ConfigDict()
  config.experiment = 'probes/cue_conflict'
  config.seed = 0
  config.net = blocks.net()
  config.others = ()  # weights of further nets that are judged
  config.images = ('scenes',)  # or pictures, airplane1-clock2.png, or a folder
  config.scenes = 1024  # how many of them
  # To paint the images: pictures or folders, named as clock2.png.
  config.contents = ()
  config.styles = ()
  config.size = 96  # side of the images in pixels
  config.crop = False  # enlarge photos by 8/7 and cut out their centre
  # How they are painted.
  config.shares = ()
  config.content_layer = 'relu3_1'
  config.style_layers = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1')
  config.style_weights = ()  # of each of those; () for equal weights
  config.alpha = 1.0  # weight of the content, a mean over positions
  config.beta = 2000.0  # weight of the style
  config.start = 'content'  # 'noise', 'style'
  config.colours = 'free'  # 'luminance', 'matched': keeps the content's
  blocks.painting(config, steps=150, tv=2e-3)
  if blocks.another_net(config, arg):
    config.content_layer = 'relu4_2'
    config.style_layers = blocks.STYLE_LAYERS
    config.beta = 1.0
    config.tv = 0.0
    config.images = ()
    config.size = 224
    config.steps = 100
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.scenes = 24
  return config


def sweep(add) -> None:
  """Other scenes: how sure the shape bias is."""
  add(add.product(seed=tuple(range(5))))
