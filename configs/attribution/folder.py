"""Explains every photo of a folder: streamed, resumable, on all devices.

Commands:
  vizlab-run --config=attribution/folder --workdir=/tmp/folder
  vizlab-run --config=attribution/folder:vgg19 \\
    --config.net.weights=vgg19.safetensors --config.folder=PHOTOS \\
    --config.methods=saliency,grad_cam --workdir=/tmp/folder_vgg19

It needs the extra: pip install -e '.[scale]'.

Runtime: ten seconds on 2 CPU cores for the two samples; with VGG-19 about five
seconds a photo for the three default methods.

Expected: for each batch of files one shard, maps-00000.npz and so on, with the
arrays names, targets and probabilities (photos x classes), one array a method,
and skipped and reasons, the files that could not be read. index.json tells
which photo is in which shard; report.html shows the first photos and lists what
was skipped. An interrupted run resumes after its last whole shard and ends with
the same files. Both samples light up where the shapes are.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """The default explains the samples with minivgg; ``vgg19`` etc., photos."""
  config = ConfigDict()
  config.experiment = 'attribution/folder'
  config.net = blocks.net()
  config.folder = 'sample:'  # of photos, with the folders in it; or the samples
  config.batch_size = 16  # files at once, over all devices
  config.workers = 4  # threads that decode ahead
  config.classes = 1  # how many of the most probable classes to explain
  config.labels = placeholder(str)  # a JSON list of class names
  config.methods = ('saliency', 'guided_backprop', 'grad_cam')  # or 'all'
  blocks.explaining(config, samples=32, chunk=16)
  config.half = True  # maps in float16 where it holds them
  config.shown = 8  # photos in the report
  if blocks.another_net(config, arg):
    config.folder = placeholder(str)  # required
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.batch_size = 1
  config.methods = ('saliency', 'grad_cam')
  return config


def sweep(add) -> None:
  """Batch sizes: the results are the same."""
  add(add.product(batch_size=(1, 16, 64)))
