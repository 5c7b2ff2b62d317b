"""Certified accuracy of smoothed nets: curves over the radius, by noise."""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import adversarial, nets
from vizlab.runs import plots
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import amounts, need_positive
from vizlab_experiments.shared.judged_nets import load_judged

__all__ = ['prepare', 'run']

_RADII = 41  # points of a curve


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    sigmas: Deviations of the noise, from the least to the greatest.
    judged: The nets, by name.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
  """

  config: ConfigDict
  sigmas: tuple[float, ...]
  judged: dict[str, nets.Network]
  images: np.ndarray
  labels: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'selection', 'samples', 'chunk')
  sigmas = tuple(sorted(amounts(config, 'sigmas')))
  if not sigmas or sigmas[0] <= 0:
    raise ValueError(
      f'config.sigmas: got {config.sigmas}, expected numbers above 0'
    )
  if not 0 < config.alpha < 1:
    raise ValueError(
      f'config.alpha: got {config.alpha}, expected above 0 and below 1'
    )
  return Inputs(config, sigmas, *load_judged(config))


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Certifies the images of each net and noise, and draws the curves."""
  certificates = {}
  pairs = itertools.product(
    enumerate(inputs.judged.items()), enumerate(inputs.sigmas)
  )
  for (i, (name, net)), (j, sigma) in pairs:
    item = f'net_{i}_sigma_{j}'
    arrays = recorder.once(
      item, functools.partial(_certified, inputs, recorder, item, net, sigma)
    )
    certificates[f'{name}/{sigma:g}'] = adversarial.Certificate(
      *(arrays[field] for field in adversarial.Certificate._fields)
    )
  summaries = {
    name: _summary(each, inputs.labels) for name, each in certificates.items()
  }
  _report(inputs, recorder, certificates, summaries)
  return {
    f'{name}/{what}': value
    for name, summary in summaries.items()
    for what, value in summary.items()
  }


def _certified(
  inputs: Inputs,
  recorder: Recorder,
  item: str,
  net: nets.Network,
  sigma: float,
) -> dict[str, np.ndarray]:
  """Votes, and fields of the `adversarial.Certificate`, of all images."""
  config = inputs.config
  keys = jax.random.split(jax.random.key(config.seed))
  counts = {'selection': config.selection, 'votes': config.samples}

  def one(i: int) -> dict[str, np.ndarray]:
    return {
      name: np.asarray(
        adversarial.noisy_votes(
          net,
          jnp.asarray(inputs.images[i : i + 1]),
          jax.random.fold_in(key, i),
          sigma=sigma,
          samples=samples,
          chunk=config.chunk,
        )
      )
      for key, (name, samples) in zip(keys, counts.items(), strict=True)
    }

  # Image by image, so that no other image has a part in its noise.
  count = len(inputs.images)
  with tqdm(total=count, desc=f'sigma {sigma:g}', unit='image') as bar:

    def some(rows: slice) -> dict[str, np.ndarray]:
      bar.update(rows.stop - bar.n)
      return one(rows.start)

    found = recorder.in_parts(item, count, 1, some)
  certificate = adversarial.certified_radius(
    **found, sigma=sigma, alpha=config.alpha
  )
  return {**found, **certificate._asdict()}


def _summary(
  certificate: adversarial.Certificate, labels: np.ndarray
) -> dict[str, float]:
  """Shares of the images, and the mean radius over all of them."""
  right = certificate.prediction == labels
  return {
    'right': float(right.mean()),
    'abstained': float((certificate.prediction < 0).mean()),
    'radius': float(np.where(right, certificate.radius, 0).mean()),
  }


def _report(
  inputs: Inputs,
  recorder: Recorder,
  certificates: dict[str, adversarial.Certificate],
  summaries: dict[str, dict[str, float]],
) -> None:
  config = inputs.config
  most = max(float(each.radius.max()) for each in certificates.values())
  radii = np.linspace(0, max(most, 1e-3), _RADII)
  curves = {
    name: [
      float(((each.prediction == inputs.labels) & (each.radius >= r)).mean())
      for r in radii
    ]
    for name, each in certificates.items()
  }
  recorder.report(
    'Certified accuracy',
    f'The nets smoothed by noise, on {len(inputs.images)} images: the share '
    'whose class is right and does not change within the radius in L2, in '
    'intensities of [0, 1]. Each certificate is wrong with a probability of '
    f'{config.alpha:g} at most; no attack can break one that is right.',
    [
      Figure(
        'certified',
        f'Certified accuracy, by net and sigma, {config.samples} samples',
        plots.curves(
          {'certified accuracy': curves}, [*radii.tolist()], 'radius in L2'
        ),
      ),
      Table(
        'certificates',
        'Share of the images that are right, share without a decision, and the '
        'mean certified radius, 0 where the class is wrong',
        ['net/sigma', 'right', 'abstained', 'mean radius'],
        [[name, *each.values()] for name, each in summaries.items()],
      ),
    ],
  )
