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


def get_config(arg: str = '') -> ConfigDict:
  """Scenes with minivgg; ``vgg19`` and others: pictures of ImageNet's."""
  config = ConfigDict()
  config.experiment = 'probes/cue_conflict'
  config.seed = 0
  config.net = ConfigDict()
  config.net.weights = 'minivgg'  # or a file
  config.net.arch = ''  # '' for what the file says
  config.net.preprocess = ''  # 'caffe', 'torchvision'; '' for what it implies
  config.net.pool = 'max'  # or 'avg'
  config.others = ''  # weights of further nets that are judged, by commas
  config.images = 'scenes'  # or pictures, airplane1-clock2.png, or a folder
  config.scenes = 1024  # how many of them
  # To paint the images: pictures or folders, by commas, named as clock2.png.
  config.contents = ''
  config.styles = ''
  config.size = 96  # side of the images in pixels
  config.crop = False  # enlarge photos by 8/7 and cut out their centre
  # How they are painted.
  config.shares = ()
  config.content_layer = 'relu3_1'
  config.style_layers = 'relu1_1,relu2_1,relu3_1,relu4_1'  # by commas
  config.style_weights = ()  # of each of those; () for all alike
  config.statistic = 'gram'  # 'moments', 'covariance', 'wasserstein'
  config.normalise = False  # gradients, per layer; weights of 1 suit it
  config.alpha = 1.0  # weight of the content, a mean over positions
  config.beta = 2000.0  # weight of the style
  config.tv = 2e-3  # weight of total variation
  config.octaves = 1  # sizes from coarse to fine, each half of the next
  config.start = 'content'  # 'noise', 'style'
  config.colours = 'free'  # 'luminance', 'matched': keeps the content's
  config.optimizer = 'lbfgs'  # or 'adam'
  config.learning_rate = 0.0  # 0 for what suits the optimizer
  config.steps = 150  # at each size
  config.later_steps = 0  # at each but the coarsest size; 0 for as many
  config.patience = 0.0  # stop below this share of fall in 16 steps
  config.snapshots = 0  # steps between two pictures of the way; 0 for none
  config.tile = 0  # pixels of a tile, for images larger than memory; 0: whole
  if arg not in ('', 'minivgg'):
    config.net.weights = f'{arg}.safetensors'
    config.net.arch = arg
    config.content_layer = 'relu4_2'
    config.style_layers = 'relu1_1,relu2_1,relu3_1,relu4_1,relu5_1'
    config.beta = 1.0
    config.tv = 0.0
    config.images = ''
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
