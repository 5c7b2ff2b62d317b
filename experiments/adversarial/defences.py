"""Defences under attacks that know them, and under others."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from ml_collections import ConfigDict

from vizlab import adversarial, image, nets, objectives
from vizlab.adversarial import Defence
from vizlab.lookup import check_name
from vizlab.objectives import score
from vizlab.runs import plots
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  amounts,
  each_of,
  listed,
  named,
  need_not_negative,
  need_positive,
)
from vizlab.types import Array, Augment, ScoreFn
from vizlab_experiments.shared.judged_nets import (
  in_batches,
  known_images,
  load_judged,
  rows_from,
)
from vizlab_experiments.shared.labelled_images import other_key

__all__ = ['prepare', 'run']

CHANGES = 'blur', 'median', 'bits'
DETECTORS = 'squeezing', 'heads'
DEFENCES = 'none', *CHANGES, 'noise', *DETECTORS
_WAYS = 'blind', 'knowing'
_ATTACK, _NOISE, _KNOWN = range(3)  # uses of random numbers


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    epsilons: Radii, from the least to the greatest.
    judged: The nets, by name.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
    known: Images without an attack ``[M, H, W, 3]``.
    changes: Changes of images, by name; made once, to compile once.
  """

  config: ConfigDict
  epsilons: tuple[float, ...]
  judged: dict[str, nets.Network]
  images: np.ndarray
  labels: np.ndarray
  known: np.ndarray
  changes: dict[str, Callable[[Array], Array]]


class _Case(NamedTuple):
  """A defence as it answers, and as an attack that knows it sees it."""

  defence: Defence
  seen: Defence
  augment: Augment | None = None


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'draws', 'steps', 'batch')
  need_not_negative(config, 'blur', 'sigma', 'ridge')
  check_name('config.norm', config.norm, ('linf', 'l2', 'l1'))
  each_of('config.defences', listed(config.defences), DEFENCES)
  if not listed(config.defences):
    raise ValueError(f'config.defences: got none, expected some of {DEFENCES}')
  if not 0 < config.refused < 1:
    raise ValueError(
      f'config.refused: got {config.refused}, expected above 0 and below 1'
    )
  epsilons = tuple(sorted(amounts(config, 'epsilons')))
  judged = load_judged(config)
  known = known_images(
    config, judged.images.shape[1], other_key(config, _KNOWN)
  )
  if len(known) < 2:
    raise ValueError(
      'config.known, config.known_photos: got one image, expected 2 or more: '
      'one half for the heads, one for the limit'
    )
  changes = _changes(config)
  for change in changes.values():
    with named(size='median', bits='bits'):
      jax.eval_shape(change, jax.ShapeDtypeStruct(known.shape, known.dtype))
  for net in judged.nets.values():
    with named(layer='layers'):
      nets.check_layers(net, listed(config.layers))
  return Inputs(config, epsilons, *judged, known, changes)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Attacks each defence of each net, and draws the curves."""
  found = {}
  for i, (name, net) in enumerate(inputs.judged.items()):
    blind = functools.cache(functools.partial(_blind, inputs, net))
    for which in listed(inputs.config.defences):
      found[f'{name}/{which}'] = recorder.once(
        f'net_{i}_{which}',
        functools.partial(_judged, inputs, recorder, i, which, blind),
      )
  shares = {
    name: {
      # Without regard to refusals: what the network itself is right about.
      'right': (arrays['clean/margin'] > 0).mean(),
      'refused': arrays['clean/refused'].mean(),
      'withstood': arrays['clean/withstood'].mean(),
      **{way: each.mean(0) for way, each in _withstood(arrays).items()},
    }
    for name, arrays in found.items()
  }
  _report(inputs, recorder, shares)
  return {
    f'{name}/{what}': float(each if np.ndim(each) == 0 else each[-1])
    for name, by in shares.items()
    for what, each in by.items()
  }


def _withstood(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Images ``[N, E]`` that are withstood, by what the attacker knows.

  One that knows may use any attack; and within a ball it may use what lies in
  any smaller one.
  """
  held = {
    way: np.logical_and.accumulate(
      arrays[f'{way}/withstood'] & arrays['clean/withstood'], 1
    )
    for way in ('blind', 'away', 'next')
  }
  knowing = held['blind'] & held['away'] & held['next']
  return {'blind': held['blind'], 'knowing': knowing}


def _changes(config: ConfigDict) -> dict[str, Callable[[Array], Array]]:
  return {
    'blur': Partial(image.blur, sigma=config.blur),
    'median': functools.partial(image.median, size=config.median),
    'bits': functools.partial(image.fewer_bits, bits=config.bits),
  }


def _add_noise(sigma: float, key: Array, x: Array) -> Array:
  return x + sigma * jax.random.normal(key, x.shape, x.dtype)


def _case(inputs: Inputs, net: nets.Network, which: str) -> _Case:
  """A defence, fitted to the known images where it needs any."""
  config, changes = inputs.config, inputs.changes
  if which in changes:
    defence = Defence(adversarial.behind(changes[which], net))
    return _Case(defence, defence)
  if which == 'noise':
    augment = Partial(_add_noise, config.sigma)
    answers = adversarial.averaged(
      net, augment, other_key(config, _NOISE), config.draws
    )
    return _Case(Defence(answers), Defence(net), augment)
  if which == 'none':
    return _Case(Defence(net), Defence(net))
  known = inputs.known
  if which == 'squeezing':
    views = tuple(adversarial.behind(each, net) for each in changes.values())
    doubt = adversarial.squeezing_doubt(net, changes.values())
  else:
    views = ()
    # Of the images that they are fitted to heads know the answers by heart.
    fitted, known = known[::2], known[1::2]
    heads = adversarial.fit_heads(
      net, listed(config.layers), fitted, ridge=config.ridge
    )
    doubt = adversarial.heads_doubt(net, heads)
  measure = jax.jit(lambda doubt, x: doubt(x))
  each = [
    np.asarray(measure(doubt, known[i : i + config.batch]))
    for i in range(0, len(known), config.batch)
  ]
  limit = np.quantile(np.concatenate(each), 1 - config.refused)
  defence = Defence(net, doubt, jnp.float32(limit), views)
  return _Case(defence, defence)


def _attack(
  inputs: Inputs, goal: ScoreFn, x: Array, augment: Augment | None = None
) -> Array:
  config = inputs.config
  return adversarial.pgd(
    goal,
    x,
    other_key(config, _ATTACK),
    epsilon=jnp.array(inputs.epsilons),
    norm=config.norm,
    steps=config.steps,
    augment=augment,
    draws=1 if augment is None else config.draws,
  ).projected


def _blind(inputs: Inputs, net: nets.Network, first: int) -> Array:
  """Images that fool the net without a defence, ``[E, B, H, W, 3]``."""
  x, label = rows_from(inputs.images, inputs.labels, first, inputs.config.batch)
  goal = adversarial.mislead(net, jnp.asarray(label))
  return _attack(inputs, goal, jnp.asarray(x))


def _judged(
  inputs: Inputs,
  recorder: Recorder,
  i: int,
  which: str,
  blind: Callable[[int], Array],
) -> dict[str, np.ndarray]:
  """Measures images as they are ``[N, 1]``, and attacked ones ``[N, E]``."""
  config, net = inputs.config, list(inputs.judged.values())[i]
  case = _case(inputs, net, which)

  def some(x: Array, label: Array, first: int) -> dict[str, Array]:
    seen = {'clean': x[None], 'blind': blind(first)}
    for way, target in (('away', None), ('next', _next_best(net, x, label))):
      goal = adversarial.aware(case.seen, label, target)
      seen[way] = _attack(inputs, goal, x, case.augment)
    return {
      f'{way}/{what}': each.T
      for way, images in seen.items()
      for what, each in _measure(case.defence, images, label).items()
    }

  return in_batches(
    recorder,
    f'net_{i}_{which}/batch',
    inputs.images,
    inputs.labels,
    config.batch,
    some,
  )


@jax.jit
def _next_best(net: nets.Network, x: Array, label: Array) -> Array:
  """The most probable other class."""
  logits = net(x)[0]
  own = jax.nn.one_hot(label, logits.shape[-1], dtype=bool)
  return jnp.where(own, -jnp.inf, logits).argmax(-1)


@jax.jit
def _measure(defence: Defence, x: Array, label: Array) -> dict[str, Array]:
  """Margin of the class, doubt, and what follows, of images ``[E, B, ...]``."""

  def one(x: Array) -> dict[str, Array]:
    margin = score(defence.net, objectives.margin(label))(x)
    doubt = defence.doubt(x) if defence.doubt else jnp.zeros_like(margin)
    return {
      'margin': margin,
      'doubt': doubt,
      'refused': ~(doubt <= defence.limit),
      'withstood': adversarial.withstood(defence, x, label),
    }

  return jax.lax.map(one, x)


def _report(
  inputs: Inputs,
  recorder: Recorder,
  shares: dict[str, dict[str, np.ndarray]],
) -> None:
  config, epsilons = inputs.config, inputs.epsilons
  panels = {
    title: {
      name: [float(by['withstood']), *map(float, by[what])]
      for name, by in shares.items()
    }
    for what, title in (
      ('blind', 'the attack does not know the defence'),
      ('knowing', 'the attack knows the defence'),
    )
  }
  recorder.report(
    'Defences',
    f'Share of {len(inputs.images)} images that are classified rightly or '
    f'refused, under attacks of {config.steps} steps within {config.norm} '
    'balls, in intensities of [0, 1]. The first attack fools the net without '
    'a defence; what counts is the second, which goes through the change of '
    'the image, is a mean over the noise, or avoids doubt, away from the '
    'class or to the next one, in the worst case. '
    f'Detectors refuse {config.refused:.0%} of {len(inputs.known)} images '
    'without an attack.',
    [
      Figure(
        'defences',
        'Withstood, by the radius of the attack',
        plots.curves(panels, [0.0, *epsilons], 'epsilon'),
      ),
      Table(
        'withstood',
        'Images without an attack that are right, and refused; withstood by '
        'the radius of attacks that do not know the defence, and that do',
        [
          'net/defence',
          'right',
          'refused',
          *(f'{way} {e:.4g}' for way in _WAYS for e in epsilons),
        ],
        [
          [
            name,
            float(by['right']),
            float(by['refused']),
            *(float(share) for way in _WAYS for share in by[way]),
          ]
          for name, by in shares.items()
        ],
      ),
    ],
  )
