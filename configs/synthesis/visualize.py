"""Shows what channels of a net look for, by images that excite them.

Commands:
  vizlab-run --config=synthesis/visualize --workdir=runs/visualize
  vizlab-run --config=synthesis/visualize:vgg19 \\
    --config.net.weights=vgg19.safetensors --workdir=runs/visualize_vgg19
  vizlab-run --config=synthesis/visualize:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.layers=fc8 \\
    --config.channels=130,340,949,417,282,1,980,970 --config.batch=4 \\
    --workdir=runs/classes
  vizlab-run --config=synthesis/visualize:googlenet \\
    --config.net.weights=googlenet.safetensors \\
    --config.layers=loss3/classifier --config.channels=954,701,543 \\
    --workdir=runs/classes_googlenet

Runtime: five minutes on 2 busy CPU cores; VGG-19 28 minutes beside other work.
It can be interrupted and started again: it resumes from the last checkpoint, 20
seconds and 16 steps before at most.

Expected: report.html with a sheet, a row a layer, and below each the images
that the channels like least (of what a ReLU reads) and the strongest and
weakest scenes. relu2_1 shows blobs and edges, relu3_2 lines of one direction,
relu4_2 arcs and beads, relu5_2 and fc the shapes of the classes: circles,
crosses, stars. All 40 activations rise. VGG-19 shows edges and colours in
relu1_2 and relu2_1, fabrics in relu3_1 and relu4_1, and eyes, birds and dogs in
relu5_1.

``--config.objective=neuron`` raises the unit in the middle of each map, `layer`
all of a layer at once, `logit` and `probability` those of a class
(``--config.layers=fc``; with VGG-19 fc8 and ``--config.channels=130,340``).
``--config.image=maco --config.opacity=True`` gives images the spectrum of
photos, and hides what the net did not look at.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Channels of minivgg; ``vgg19`` and others at 224 pixels."""
  config = ConfigDict()
  config.experiment = 'synthesis/visualize'
  config.seed = 0
  config.net = blocks.net()
  config.layers = ('relu2_1', 'relu3_2', 'relu4_2', 'relu5_2', 'fc')
  config.objective = 'channel'  # 'neuron', 'layer', 'logit', 'probability'
  # Numbers, of each layer (classes also by name); () for some of all.
  config.channels = ()
  config.count = 8  # how many of those
  config.image = 'fourier'  # 'pyramid', 'cppn', 'maco'
  config.size = 96  # side of the images in pixels
  config.steps = 256
  config.patience = 0.0  # stop below this share of rise in 16 steps
  config.learning_rate = placeholder(float)  # what suits the parameterisation
  config.decay = 1.5  # of 'fourier': exponent of 1 / f; 0 is white
  config.pad = 0.125  # grey border, as a share of the side
  config.jitter = 0.07  # shift to either side, as a share of the side
  config.scale = 0.25  # enlarged or shrunk by up to this share
  config.rotation = 15.0  # degrees to either side
  config.crop = 0.5  # of 'maco': smallest random crop, a share of the side
  config.noise = 0.0  # standard deviation of noise added at each step
  config.draws = 1  # of these transformations, averaged at each step
  config.tv = 0.0  # weight of total variation
  config.l2 = 0.0  # weight of the squared distance to grey
  config.opacity = False  # transparent where nothing is needed
  config.start = placeholder(str)  # of 'fourier': a file or sample:NAME; grey
  config.batch = 8  # images at once; 0 for as many as half the memory holds
  config.negative = True  # also images that a channel likes least
  config.examples = True  # also the strongest and weakest of a dataset
  config.scenes = 512  # that dataset, drawn
  # A folder (or pattern) of labelled photos instead.
  config.photos = placeholder(str)
  if blocks.another_net(config, arg):
    config.layers = ('relu1_2', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1')
    config.count = config.batch = 5
    config.size = 224
    config.negative = config.examples = False
  if arg == 'googlenet':
    parts = ('3b', '4a', '4d', '5b')
    config.layers = tuple(f'inception_{k}/output' for k in parts)
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layers = ('relu2_1',)
  config.count = config.batch = 2
  config.size, config.steps, config.scenes = 32, 3, 2
  return config


def sweep(add) -> None:
  """Parameterisations by the number of steps, then every prior by itself."""
  add(
    add.product(image=('fourier', 'pyramid', 'cppn', 'maco'), steps=(64, 256))
  )
  add(add.product(decay=(1.0, 1.5, 2.0), scale=(0.1, 0.4)))
  add(add.zip(pad=(0.0, 0.25), jitter=(0.0, 0.14), rotation=(0.0, 30.0)))
  add(image='maco', crop=0.2)
  add(tv=0.01)
  add(l2=0.001)
  add(noise=0.1)
  add(add.product(image=('fourier', 'maco'), draws=(1, 4), opacity=(True,)))
  add(start='sample:star_and_square')
