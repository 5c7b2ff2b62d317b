"""Compares priors of feature visualization: one row per family.

With ``--config.layer=fc`` (or a net's last layer) the units are classes: the
class models of Simonyan et al. 2013 and of those after them, side by side.

Commands:
  vizlab-run --config=synthesis/priors --workdir=runs/priors
  vizlab-run --config=synthesis/priors:vgg19 \\
    --config.net.weights=vgg19.safetensors --workdir=runs/priors_vgg19

Runtime: four minutes on 2 busy CPU cores; VGG-19 15 minutes beside other work.
It can be interrupted and started again: it resumes from the last checkpoint, 20
seconds and 16 steps before at most.

Expected: report.html with five columns of images that show the same structure
in every row: as noise without priors, faint with an L2 norm, smooth with the
regularisers of 2015, in natural colours with decorrelated Fourier. The table
says how much fine detail there is: 58 % of the variance without priors, 9 %
with those of Yosinski, 3 % with decorrelated Fourier. With VGG-19, flamingos,
cats, strawberries and zebras are seen in all five rows, in natural colours only
in the last; fine detail falls from 43 % to 7 % with Yosinski's regularisers.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config(arg: str = '') -> ConfigDict:
  """Classes of minivgg under all families; ``vgg19`` and others at 224."""
  config = ConfigDict()
  config.experiment = 'synthesis/priors'
  config.seed = 0
  config.net = blocks.net()
  config.layer = 'relu4_2'
  config.channels = ()  # classes also by name; () for some of all
  config.count = 5  # how many of those
  config.families = (
    'none',
    'l2',
    'yosinski',
    'blurred gradient',
    'laplacian gradient',
    'bilateral',
    'frequency',
    'robust',
    'fourier',
    'decorrelated',
    'pyramid',
    'cppn',
    'maco',
  )  # a row each
  config.size = 96  # side of the images in pixels
  config.steps = 200
  config.rate = 0.02  # of the families in pixels: their change in a step
  config.l2 = 0.0002  # weight of the L2 norm
  config.tv = 0.001  # weight of total variation
  config.decay = 0.01  # of yosinski: share of the distance to grey, a step
  config.sigma = 0.6  # pixels of blur: yosinski's every fourth step, twice
  # that of a blurred gradient
  config.share = 0.1  # of yosinski: pixels that are clipped, a step
  config.fourier_decay = 1.5  # of fourier, decorrelated: exponent of 1 / f
  config.pad = 0.125  # of robust and all after it: grey border, as a share
  config.jitter = 0.07  # of the same: shift, as a share of the side
  config.scale = 0.25  # of the same: enlarged or shrunk by up to this share
  config.rotation = 15.0  # of the same: degrees to either side
  if blocks.another_net(config, arg):
    config.families = ('none', 'l2', 'yosinski', 'robust', 'decorrelated')
    config.layer = 'fc8'
    config.channels = (130, 285, 949, 340)  # flamingo, Egyptian cat, ...
    config.size = 224
    config.steps = 128
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.layer = 'relu2_1'
  config.families = ('none', 'yosinski', 'frequency', 'decorrelated')
  config.count = 2
  config.size, config.steps = 32, 3
  return config


def sweep_robustness(add) -> None:
  """The transformations and the spectrum of Fourier, by themselves."""
  one = {'families': 'decorrelated'}
  add(add.product(add.product(fourier_decay=(1.0, 1.5, 2.0)), [one]))
  add(add.product(add.product(scale=(0.1, 0.4), rotation=(5.0, 30.0)), [one]))
  add(add.product(add.zip(pad=(0.0, 0.25), jitter=(0.0, 0.14)), [one]))


def sweep(add) -> None:
  """Yosinski et al. 2015, section 3.3: their regularisers drawn at random."""
  add(
    add.product(
      add.product(families=('yosinski',)),
      add.random(
        24,
        seed=0,
        decay=add.log_uniform(1e-4, 0.1),
        sigma=add.uniform(0.2, 1.5),
        share=add.uniform(0.0, 0.5),
        rate=add.log_uniform(0.005, 0.1),
      ),
    )
  )
