"""Certified accuracy: radii within which no attack changes the class.

Randomized smoothing (Cohen et al. 2019): the class that most images with noise
have, and the radius in L2 that follows from how many have it. Beside it the
same nets under an attack that knows of the noise (Salman et al. 2019): what no
certificate covers and no attack breaks is what is not known.

Commands:
  vizlab-run --config=adversarial/certificates --workdir=runs/certificates
  vizlab-run --config=adversarial/certificates --config.data=cifar10.npz \\
    --config.net.weights=resnet20.npz --config.others= --config.count=100 \\
    --workdir=runs/certificates_cifar

Needs matplotlib: pip install -e '.[analysis]'.

Runtime: a quarter of an hour on 2 busy CPU cores. A run that is stopped or
killed resumes after the last image.

Expected: report.html. With noise of 0.12 minivgg is right about all of 24
scenes, with a mean certified radius of 0.23, and minivgg_robust about 83 %,
0.19: it withstands the worst small changes, and no more noise. With 0.18 both
are lost (38 % and 13 %), as they never saw noise; adversarial/robust_training
trains with it (--config.method=gaussian). What is certified is less than what
holds: with noise of 0.12 an attack within 0.8 leaves about 92 and 83 % right,
one within 2.0 about 46 % of both.
"""

from ml_collections import ConfigDict

from vizlab_experiments.configs import blocks


def get_config() -> ConfigDict:
  """The two nets that ship, on scenes."""
  config = ConfigDict()
  config.experiment = 'adversarial/certificates'
  config.seed = 0
  config.net = blocks.net()
  blocks.judging(config)
  # Deviations of the noise in intensities of [0, 1].
  config.sigmas = (0.06, 0.12, 0.18)
  config.selection = 32  # noisy images of each that choose its class
  # Others that certify it; none has a larger radius than all votes give.
  config.samples = 256
  config.alpha = 0.001  # probability that a certificate is wrong
  config.chunk = 64  # noisy images at once
  config.radii = (0.2, 0.8, 2.0)  # in L2, of the attacks
  config.steps = 10
  config.draws = 4  # noises whose mean is attacked
  return config


def get_test_config() -> ConfigDict:
  """The same in seconds, for tests."""
  config = get_config()
  config.others = ('minivgg_random_labels',)
  config.scenes, config.sigmas = 3, (0.05,)
  config.selection, config.samples, config.chunk = 4, 16, 8
  config.radii, config.steps, config.draws = (0.05, 0.8), 2, 2
  return config


def sweep(add) -> None:
  """More samples, which certify larger radii."""
  add(add.product(samples=(100, 1000, 10000)))
