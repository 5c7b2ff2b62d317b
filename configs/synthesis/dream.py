"""DeepDream: pictures grow what a layer sees in them.

Commands:
  vizlab-run --config=synthesis/dream --workdir=runs/dream
  vizlab-run --config=synthesis/dream:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.image=PHOTO \\
    --workdir=runs/dream_vgg19
  vizlab-run --config=synthesis/dream:googlenet --config.size=400 \\
    --config.net.weights=googlenet.safetensors --config.image=PHOTO \\
    --workdir=runs/dream_googlenet

``--config.image=noise`` starts from noise, in which early layers grow from a
seed or two; ``--config.channels=7,12`` raises those channels of each layer;
``--config.guide=PHOTO`` grows what that picture has; ``--config.frames=60``
makes a zoom as a GIF; ``--config.tile=512`` bounds the memory of large
pictures; ``--config.levels=4`` gives all frequencies of a step the same
strength (Laplacian-pyramid normalisation); ``--config.power=2``, DeepDream's
own energy, also fills a smooth sky, with stripes.

Runtime: half a minute on 2 busy CPU cores; VGG-19 with a photo of 400 pixels
three to seven minutes. It can be interrupted and started again: it resumes with
the next layer or frame.

Expected: report.html with the picture and its dreams: dots, nets of lines,
worms and eyes, and in relu5_2 brush strokes along the edges; with VGG-19 eyes,
snails and houses with bays and towers, under a smooth sky; with GoogLeNet's
inception_4c towers, pagodas, cars and dogs, the pictures of the original
(Mordvintsev et al. 2015). The scores rise 6 to 32 times, those of VGG-19 57 to
1300 times.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """A sample with minivgg; ``vgg19`` and others, a photo."""
  config = ConfigDict()
  config.experiment = 'synthesis/dream'
  config.seed = 0
  config.net = blocks.net()
  config.image = 'sample:star_and_square'  # a file, or 'noise'
  config.size = 192  # its shorter side in pixels
  config.layers = ('relu2_1', 'relu3_2', 'relu4_2', 'relu5_2')  # one dream each
  config.channels = ()  # numbers; () for the energy of the layer
  config.power = 3.0  # of the energy; 2 also paints what is smooth
  config.guide = placeholder(str)  # a picture whose features are wanted
  config.guides = 256  # places of it that are looked at
  config.octaves = 4
  config.scale = 1.4  # from one octave to the next
  config.steps = 15  # in each octave
  config.rate = 0.006  # how much a pixel changes in a step, in the mean
  config.levels = 1  # frequency bands of equal strength in a step
  config.jitter = 32  # pixels
  config.tile = placeholder(int)  # side of tiles in pixels; the whole image
  config.frames = 0  # of a zoom into the last layer's dream
  config.zoom = 1.05  # from frame to frame
  config.frame_octaves = 1
  config.frame_steps = 6
  if blocks.another_net(config, arg):
    config.image = placeholder(str)  # required
    config.size = 320
    config.layers = ('relu3_3', 'relu4_3', 'relu5_3')
  if arg == 'googlenet':
    config.layers = tuple(f'inception_{k}/output' for k in ('3b', '4c', '4e'))
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu2_1',)
  config.size, config.octaves, config.steps = 48, 2, 2
  config.frames, config.frame_steps = 2, 1
  return config


def sweep(add) -> None:
  """Rate by the number of steps of an octave."""
  add(add.product(rate=(0.003, 0.006, 0.012), steps=(5, 15, 30)))
