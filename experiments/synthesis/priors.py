"""Comparison of image priors: the same units under each family."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from ml_collections import ConfigDict

from vizlab import nets, optimize, penalties, render, rules, synthesis
from vizlab.objectives import Score, score
from vizlab.runs.inputs import check_layers, load_net
from vizlab.runs.optimization import check, optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  each_of,
  listed,
  named,
  need_not_negative,
  need_positive,
)
from vizlab.types import Array, Augment, ImageParam
from vizlab_experiments.shared.image_priors import (
  IMAGES,
  check_robust,
  robust_of,
)
from vizlab_experiments.synthesis.visualize import chosen_channels, unit

__all__ = ['FAMILIES', 'prepare', 'run']

Shape = tuple[int, ...]


class Prior(NamedTuple):
  """A family of priors, as settings of `vizlab.optimize.run`."""

  image: ImageParam
  optimizer: Any
  penalty: penalties.Penalty | None = None
  augment: Augment | None = None


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  families: tuple[str, ...]
  net: nets.Network
  channels: Sequence[int]
  score_fn: Score
  priors: dict[str, Prior]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'steps', 'size', 'count', 'rate', 'sigma')
  need_not_negative(config, 'l2', 'tv', 'decay', 'share', 'fourier_decay')
  check_robust(config)
  for name in ('decay', 'share'):
    if config[name] > 1:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected a share, 0 to 1'
      )
  families = listed(config.families)
  each_of('config.families', families, FAMILIES)
  if not families:
    raise ValueError('config.families: got none, expected some')
  net = load_net(config)
  check_layers(net, 'layer', [config.layer])
  channels = chosen_channels(config, net, config.layer)
  score_fn = score(net, unit(net, config.layer, np.array(channels)))
  shape = (len(channels), config.size, config.size, 3)
  with named(x='size', shape='size'):
    priors = {family: FAMILIES[family](config, shape) for family in families}
    for prior in priors.values():
      check(score_fn, prior.image, penalty=prior.penalty, augment=prior.augment)
  return Inputs(config, families, net, channels, score_fn, priors)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Makes the images and writes the picture."""
  config, families, net, channels, score_fn, priors = inputs
  rows, lines = [], []
  excite = jax.jit(lambda score_fn, x: score_fn(x))
  for family, prior in priors.items():
    made = optimize_resumable(
      recorder,
      family,
      score_fn.with_rules(relu=rules.redirected_relu),
      prior.image,
      jax.random.key(config.seed),
      steps=config.steps,
      optimizer=prior.optimizer,
      penalty=prior.penalty,
      augment=prior.augment,
    )
    rows.append([render.to_uint8(x) for x in made.images])
    fine = _share_of_fine_detail(made.images)
    end = np.asarray(excite(score_fn, jnp.asarray(made.images)))
    lines.append([family, float(end.mean()), fine])
  recorder.report(
    f'{config.layer} of {net.arch} under {len(families)} families of priors',
    'The same units, the same number of steps. Fine detail is the share of the '
    'variance that a Gaussian blur of one pixel takes away; it is what an '
    'ascent without priors is full of.',
    [
      Figure(
        'priors',
        f'Units of {config.layer} by family',
        render.table(
          rows, [str(k) for k in channels], families, min(224, config.size + 32)
        ),
      ),
      Table('scores', 'In the end', ['family', 'score', 'fine detail'], lines),
    ],
  )
  return {f'fine/{line[0]}': line[2] for line in lines}


def _share_of_fine_detail(images: np.ndarray) -> float:
  images = jnp.clip(jnp.asarray(images), 0, 1)
  mean = images.mean((1, 2), keepdims=True)
  total = jnp.square(images - mean).sum((1, 2, 3))
  fine = penalties.blur(1.0)(images)
  return float((fine / jnp.maximum(total, 1e-9)).mean())


def _pixels(config: ConfigDict, shape: Shape) -> ImageParam:
  return synthesis.pixels(jnp.full(shape, 0.5), noise=0.01)


def _adam(rate: float | Array) -> optax.GradientTransformation:
  return optax.chain(optax.adam(rate), synthesis.project())


def _none(config: ConfigDict, shape: Shape) -> Prior:
  return Prior(_pixels(config, shape), Partial(_adam, config.rate))


def _l2(config: ConfigDict, shape: Shape) -> Prior:
  """Simonyan et al. 2013: from grey, with an L2 norm."""
  penalty = config.l2 * penalties.l2(0.5)
  return _none(config, shape)._replace(penalty=penalty)


def _yosinski_optimizer(
  rate: Array, decay: Array, sigma: Array, share: Array
) -> optax.GradientTransformation:
  return optax.chain(
    synthesis.normalise(),
    optax.scale(-rate),
    synthesis.decay(decay),
    synthesis.blur_every(4, sigma),
    synthesis.clip_small_norm(share),
    synthesis.clip_small_contribution(share),
    synthesis.project(),
  )


def _yosinski(config: ConfigDict, shape: Shape) -> Prior:
  """Yosinski et al. 2015: decay, blur, and two kinds of clipping."""
  strengths = config.rate, config.decay, config.sigma, config.share
  made = Partial(_yosinski_optimizer, *strengths)
  return Prior(_pixels(config, shape), made)


def _oygard_optimizer(rate: Array, sigma: Array) -> Any:
  return optax.chain(
    synthesis.blur_gradient(sigma),
    synthesis.normalise(),
    optax.sgd(rate),
    synthesis.project(),
  )


def _oygard(config: ConfigDict, shape: Shape) -> Prior:
  """Oygard 2015: a blurred gradient."""
  made = Partial(_oygard_optimizer, config.rate, 2 * config.sigma)
  return Prior(_pixels(config, shape), made)


def _laplacian_optimizer(rate: Array) -> Any:
  return optax.chain(
    synthesis.laplacian_normalise(4),
    optax.sgd(rate),
    synthesis.project(),
  )


def _laplacian(config: ConfigDict, shape: Shape) -> Prior:
  """Mordvintsev 2015: all frequencies of the gradient at equal strength."""
  return Prior(
    _pixels(config, shape),
    Partial(_laplacian_optimizer, config.rate),
    augment=synthesis.jitter(8),
  )


def _bilateral_optimizer(rate: Array) -> Any:
  return optax.chain(
    synthesis.normalise(),
    optax.sgd(rate),
    synthesis.bilateral_every(4),
    synthesis.project(),
  )


def _bilateral(config: ConfigDict, shape: Shape) -> Prior:
  """Tyka 2016: a filter that keeps edges."""
  return Prior(
    _pixels(config, shape), Partial(_bilateral_optimizer, config.rate)
  )


def _frequency(config: ConfigDict, shape: Shape) -> Prior:
  """A penalty on high frequencies: total variation."""
  return _none(config, shape)._replace(penalty=config.tv * penalties.tv(2.0))


def _robust(config: ConfigDict, shape: Shape) -> Prior:
  """Robustness to small transformations alone."""
  return _none(config, shape)._replace(augment=robust_of(config))


def _by(kind: str) -> Callable[..., Prior]:
  """A parameterisation, with robustness (Olah et al. 2017)."""
  make_image, rate, _ = IMAGES[kind]

  def prior(config: ConfigDict, shape: Shape) -> Prior:
    return Prior(
      make_image(shape), optimize.adam(rate), augment=robust_of(config)
    )

  return prior


def _fourier(config: ConfigDict, shape: Shape, **settings: Any) -> Prior:
  """Fourier spectra, with robustness (Olah et al. 2017)."""
  image = synthesis.fourier(shape, decay=config.fourier_decay, **settings)
  return _by('fourier')(config, shape)._replace(image=image)


def _maco(config: ConfigDict, shape: Shape) -> Prior:
  """Fixed magnitudes, and noisy crops (Fel et al. 2023)."""
  augment = IMAGES['maco'].augment(config.size)
  return _by('maco')(config, shape)._replace(augment=augment)


FAMILIES = {
  'none': _none,
  'l2': _l2,
  'yosinski': _yosinski,
  'blurred gradient': _oygard,
  'laplacian gradient': _laplacian,
  'bilateral': _bilateral,
  'frequency': _frequency,
  'robust': _robust,
  'fourier': functools.partial(_fourier, decorrelated=False),
  'decorrelated': _fourier,
  'pyramid': _by('pyramid'),
  'cppn': _by('cppn'),
  'maco': _maco,
}
