"""Certified accuracy of smoothed nets beside their accuracy under attack."""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import adversarial, nets, synthesis
from vizlab.runs import plots
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import amounts, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.judged_nets import load_judged

__all__ = ['prepare', 'run']

_RADII = 41  # points of a curve
_KINDS = {'certified': 'certified', 'attacked': 'under attack'}


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    sigmas: Deviations of the noise, from the least to the greatest.
    radii: Radii in L2 of the attacks, from the least to the greatest.
    judged: The nets, by name.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
  """

  config: ConfigDict
  sigmas: tuple[float, ...]
  radii: tuple[float, ...]
  judged: dict[str, nets.Network]
  images: np.ndarray
  labels: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'selection', 'samples', 'chunk', 'steps', 'draws')
  sigmas = tuple(sorted(amounts(config, 'sigmas')))
  if not sigmas or sigmas[0] <= 0:
    raise ValueError(
      f'config.sigmas: got {config.sigmas}, expected numbers above 0'
    )
  if not 0 < config.alpha < 1:
    raise ValueError(
      f'config.alpha: got {config.alpha}, expected above 0 and below 1'
    )
  radii = tuple(sorted({*amounts(config, 'radii')}))
  return Inputs(config, sigmas, radii, *load_judged(config))


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Certifies and attacks the images of each net and noise."""
  certificates, summaries = {}, {}
  pairs = itertools.product(
    enumerate(inputs.judged.items()), enumerate(inputs.sigmas)
  )
  for (i, (name, net)), (j, sigma) in pairs:
    item = f'net_{i}_sigma_{j}'
    arrays = recorder.once(
      item, functools.partial(_certified, inputs, recorder, item, net, sigma)
    )
    certificate = adversarial.Certificate(
      *(arrays[field] for field in adversarial.Certificate._fields)
    )
    label = f'{name}/{sigma:g}'
    certificates[label] = certificate
    summaries[label] = _summary(certificate, inputs.labels) | _withstood(
      inputs, certificate, arrays['attacked']
    )
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
  """Votes, as they are and under attack, and fields of the certificates.

  Returns:
    Those of `adversarial.Certificate` ``[N]``; the votes ``selection`` and
    ``votes`` ``[N, K]``; and ``attacked`` ``[N, R, K]``, those for the image
    that was moved to mislead the smoothed net, by radius.
  """
  config = inputs.config
  keys = jax.random.split(jax.random.key(config.seed), 4)

  def one(i: int) -> dict[str, np.ndarray]:
    x = jnp.asarray(inputs.images[i : i + 1])
    chosen, voted, moves, noises = (jax.random.fold_in(key, i) for key in keys)
    votes = functools.partial(
      adversarial.noisy_votes, net, sigma=sigma, chunk=config.chunk
    )
    moved = _moved(inputs, net, sigma, x, int(inputs.labels[i]), moves)
    # With other noise than that which the attack knows.
    attacked = [
      votes(image, jax.random.fold_in(noises, r), samples=config.samples)
      for r, image in enumerate(moved)
    ]
    counts = {
      'selection': votes(x, chosen, samples=config.selection),
      'votes': votes(x, voted, samples=config.samples),
      'attacked': jnp.stack(attacked, 1),
    }
    return {name: np.asarray(each) for name, each in counts.items()}

  # Image by image, so that no other image has a part in its noise.
  count = len(inputs.images)
  with tqdm(total=count, desc=f'sigma {sigma:g}', unit='image') as bar:

    def some(rows: slice) -> dict[str, np.ndarray]:
      bar.update(rows.stop - bar.n)
      return one(rows.start)

    found = recorder.in_parts(item, count, 1, some)
  certificate = adversarial.certified_radius(
    found['selection'], found['votes'], sigma=sigma, alpha=config.alpha
  )
  return {**found, **certificate._asdict()}


def _moved(
  inputs: Inputs,
  net: nets.Network,
  sigma: float,
  x: Array,
  label: int,
  key: Array,
) -> Array:
  """Images that mislead the mean over noise within each radius, ``[R, ...]``.

  The gradient is that of the logarithm of the mean probability (SmoothAdv,
  Salman et al. 2019), as that of the votes is 0.
  """
  config = inputs.config
  noise, steps = jax.random.split(key)
  smoothed = adversarial.averaged(
    net, synthesis.noise(sigma), noise, config.draws
  )
  return adversarial.pgd(
    adversarial.mislead(smoothed, label),
    x,
    steps,
    epsilon=jnp.asarray(inputs.radii),
    norm='l2',
    steps=config.steps,
    chunk=len(inputs.radii),
  ).projected


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


def _certified_share(
  certificate: adversarial.Certificate, labels: np.ndarray, radius: float
) -> float:
  right = certificate.prediction == labels
  return float((right & (certificate.radius >= radius)).mean())


def _withstood(
  inputs: Inputs, certificate: adversarial.Certificate, attacked: np.ndarray
) -> dict[str, float]:
  """Certified share, and share right under attack, by radius."""
  # No votes, of logits that are not finite, are no class.
  decided = attacked.any(-1)
  withstood = decided & (attacked.argmax(-1) == inputs.labels[:, None])
  shares = {}
  for r, radius in enumerate(inputs.radii):
    sure = _certified_share(certificate, inputs.labels, radius)
    shares[f'certified_{radius:g}'] = sure
    shares[f'attacked_{radius:g}'] = float(withstood[:, r].mean())
  return shares


def _report(
  inputs: Inputs,
  recorder: Recorder,
  certificates: dict[str, adversarial.Certificate],
  summaries: dict[str, dict[str, float]],
) -> None:
  config = inputs.config
  first = next(iter(summaries.values()))
  most = max(float(each.radius.max()) for each in certificates.values())
  radii = np.linspace(0, max(most, 1e-3), _RADII)
  curves = {
    name: [_certified_share(each, inputs.labels, r) for r in radii]
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
      Figure(
        'attacked',
        'Share that is right, certified within the radius and under attack '
        f'within it: {config.steps} steps against the mean over {config.draws} '
        'noises. What holds lies between the two, but for chance',
        plots.curves(
          {
            title: {
              name: [summary[f'{kind}_{r:g}'] for r in inputs.radii]
              for name, summary in summaries.items()
            }
            for kind, title in _KINDS.items()
          },
          inputs.radii,
          'radius in L2',
          'share of the images',
        ),
      ),
      Table(
        'certificates',
        'Share of the images that are right, share without a decision, the '
        'mean certified radius, 0 where the class is wrong; and by radius the '
        'share that is certified and the share that is right under attack',
        ['net/sigma', *(key.replace('_', ' ') for key in first)],
        [[name, *each.values()] for name, each in summaries.items()],
      ),
    ],
  )
