"""Settings that several configs share.

A setting that is a placeholder has no value unless one is given; its comment
names what is used instead.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

__all__ = [
  'INCEPTIONS',
  'MINIVGG_RELUS',
  'STYLE_LAYERS',
  'another_net',
  'explaining',
  'fine_tuning',
  'icons',
  'judging',
  'larger_icons',
  'net',
  'painting',
  'tasks',
  'training',
]

INCEPTIONS = tuple(
  f'inception_{name}/output'
  for name in ('3a', '3b', '4a', '4b', '4c', '4d', '4e', '5a', '5b')
)
MINIVGG_RELUS = (
  'relu1_1',
  'relu2_1',
  'relu3_1',
  'relu3_2',
  'relu4_1',
  'relu4_2',
  'relu5_1',
  'relu5_2',
)
# Of the paper, in a VGG of any depth.
STYLE_LAYERS = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1')


def net(pool: str = 'max') -> ConfigDict:
  """The network that is loaded, `vizlab.nets.load`."""
  config = ConfigDict()
  config.weights = 'minivgg'  # or a file, of weights or of code: load_net()
  config.arch = placeholder(str)  # that of the file
  config.preprocess = placeholder(str)  # of the file; 'caffe', 'torchvision'
  config.pool = pool  # 'max', 'avg'
  config.dtype = 'float32'  # of the layers; 'bfloat16', 'float16'
  return config


def another_net(config: ConfigDict, arch: str) -> bool:
  """Takes another network than minivgg, if the config's argument names one."""
  if arch in ('', 'minivgg'):
    return False
  config.net.weights = f'{arch}.safetensors'
  config.net.arch = arch
  return True


def explaining(config: ConfigDict, *, samples: int, chunk: int) -> None:
  """Adds the settings of the methods, `vizlab.attribution`."""
  config.layer = placeholder(str)  # of CAMs; the last map of the network
  # Of occlusion, in pixels; a sixth of the image's side.
  config.patch = placeholder(int)
  config.samples = samples  # of the noisy methods and of infidelity
  config.chunk = chunk  # images at once, where a method evaluates many


def judging(config: ConfigDict) -> None:
  """Adds other networks, and the labelled images that all are judged on."""
  config.others = ('minivgg_robust',)  # weights of other nets to compare
  config.scenes = 24  # of one object
  # A folder (or pattern) of photos instead, whose names begin with their class.
  config.photos = placeholder(str)
  # An .npz with x_test, uint8 [N, H, W, 3], and y_test instead.
  config.data = placeholder(str)
  config.count = placeholder(int)  # images of the file; all


def tasks(config: ConfigDict, *, size: int, examples: int) -> None:
  """Adds the images of tasks of classification."""
  config.size = size  # side in pixels of scenes and chairs
  config.examples = examples  # drawn images to choose from
  config.tests = 1024  # drawn images to test
  # Of 'data': an .npz with x_train, x_test, uint8 [N, H, W, 3], and y_train,
  # y_test.
  config.data = placeholder(str)
  # Of 'photos': a folder (or pattern) of photos whose names hold WordNet ids,
  # and groups of ids in rising order, each from its first id to the next.
  config.photos = placeholder(str)
  config.groups = (
    ('n00000000', 'animal'),
    ('n02085374', 'dog'),
    ('n02114100', 'animal'),
    ('n02666196', 'thing'),
    ('n06000000', 'food, plant or place'),
  )


def fine_tuning(config: ConfigDict, *, steps: int) -> None:
  """Adds the settings of a training that ends early."""
  config.steps = steps  # at most
  config.batch_size = 64
  config.learning_rate = 1e-3
  # Looks at the validation part, each 20 steps, without a lower loss there.
  config.patience = 6


def icons(config: ConfigDict, *, power: float, batch: int = 16) -> None:
  """Adds the settings of images that excite directions of a layer."""
  config.size = 64  # side in pixels of the images that are made
  config.steps = 96  # of those images
  config.learning_rate = 0.1  # of those images
  # Of the cosine: asks for the mix more than for its length.
  config.power = power
  config.icons_batch = batch  # images made at once


def larger_icons(config: ConfigDict, batch: int = 8) -> None:
  """Sets what suits the icons of networks of photos."""
  config.size, config.icons_batch = 112, batch
  config.learning_rate = 0.05


def painting(
  config: ConfigDict,
  *,
  steps: int,
  statistic: str = 'gram',
  normalise: bool = False,
  tv: float = 0.0,
  octaves: int = 1,
  optimizer: str = 'lbfgs',
  snapshots: int | None = None,
) -> None:
  """Adds the settings of images that match a style, `vizlab.style`."""
  config.statistic = statistic  # 'gram', 'moments', 'covariance', 'wasserstein'
  config.normalise = normalise  # gradients, per layer; weights of 1 suit it
  config.tv = tv  # weight of total variation
  config.octaves = octaves  # sizes from coarse to fine, each half of the next
  config.optimizer = optimizer  # 'adam', 'lbfgs'
  config.learning_rate = placeholder(float)  # what suits the optimizer
  config.steps = steps  # at each size
  config.later_steps = placeholder(int)  # at finer sizes; as many
  config.patience = 0.0  # stop below this share of fall in 16 steps
  config.snapshots = placeholder(int)  # steps between two pictures; no picture
  config.snapshots = snapshots
  config.tile = placeholder(int)  # side of tiles in pixels; the whole image


def training(
  config: ConfigDict, *, stages: tuple[tuple[int, int], ...]
) -> None:
  """Adds the settings of a training on scenes, with those of minivgg."""
  # (side of the images in pixels, steps): small images first, they are cheap.
  config.stages = stages
  config.batch_size = 128  # half as many learn far more slowly
  config.learning_rate = 3e-3
  config.warmup_steps = 100
  config.weight_decay = 0.05
  config.first_kernel_scale = 0.02  # of the first layer, at the start
  config.noise = 0.1  # the strongest noise on an image, in units of 1
  config.two_objects = 0.25  # share of the scenes that hold two objects
  config.correlation = 0.0  # of texture with shape, in [0, 1]
  # Learn one set of so many scenes; always fresh.
  config.fixed_scenes = placeholder(int)
  config.random_labels = False  # of the fixed set: there is nothing to learn
  config.calibration_batches = 16  # for the statistics that are folded in
