"""Rules of linear layers for relevance, as values.

A rule says by which parts of an output the inputs share its relevance.

References:
  Bach et al. 2015 (epsilon, alpha-beta); Montavon et al. 2017 (w-squared,
  z-box, z-plus); Montavon et al. 2019 (gamma); Lapuschkin et al. 2019 (flat);
  Andeol et al. 2021 (gamma for inputs of both signs).
"""

import dataclasses
import math

__all__ = [
  'Group',
  'Part',
  'Redistribution',
  'alpha_beta',
  'epsilon',
  'flat',
  'gamma',
  'norm',
  'passed',
  'w_square',
  'z_box',
  'z_plus',
]

_TINY = 1e-6  # what keeps a denominator from zero where no rule says how much


@dataclasses.dataclass(frozen=True)
class Part:
  """Part of an output: the layer with changed inputs and parameters.

  Attributes:
    inputs: How inputs are changed: ``'all'``, ``'positive'``, ``'negative'``,
      ``'ones'``, ``'low'`` or ``'high'``, the ends of the range of images.
    weights: How parameters are changed: ``'all'``, ``'positive'``,
      ``'negative'``, ``'square'``, ``'ones'``.
    share: Factor of the changed weights beside the weights themselves; by
      default the changed ones alone.
    bias: Whether the bias counts.
    sign: Factor of the part.
  """

  inputs: str = 'all'
  weights: str = 'all'
  share: float | None = None
  bias: bool = True
  sign: float = 1.0


@dataclasses.dataclass(frozen=True)
class Group:
  """Parts that share the relevance of an output among them.

  Attributes:
    parts: The parts.
    factor: Share of the relevance that the group gives.
    side: Outputs that count: 1 for positive ones, -1 for negative, 0 for all.
  """

  parts: tuple[Part, ...]
  factor: float = 1.0
  side: int = 0


@dataclasses.dataclass(frozen=True)
class Redistribution:
  """Rule of a linear layer: how relevance goes from outputs to inputs.

  Attributes:
    groups: Parts of the output by which it is shared; none for relevance that
      is passed on as it is.
    stabiliser: Number that is added to the size of each denominator; relevance
      that it takes away is lost.
  """

  groups: tuple[Group, ...]
  stabiliser: float = _TINY


def epsilon(stabiliser: float = _TINY) -> Redistribution:
  """The epsilon rule: in proportion to ``x_i w_ij``, less for weak outputs.

  ``R_i = sum_j x_i w_ij / (z_j + e sign(z_j)) R_j``.

  Raises:
    ValueError: The stabiliser is not above 0.
  """
  if not stabiliser > 0 or not math.isfinite(stabiliser):
    raise ValueError(f'stabiliser: got {stabiliser}, expected more than 0')
  return Redistribution((Group((Part(),)),), stabiliser)


def z_plus() -> Redistribution:
  """The z-plus rule: in proportion to positive contributions only."""
  return Redistribution((Group(_positive()),))


def alpha_beta(alpha: float = 2.0, beta: float = 1.0) -> Redistribution:
  """The alpha-beta rule: ``alpha`` by positive, less ``beta`` by negative ones.

  Raises:
    ValueError: Not ``alpha - beta = 1``, or one of them is negative.
  """
  if not (min(alpha, beta) >= 0 and abs(alpha - beta - 1) < 1e-6):
    raise ValueError(
      f'alpha, beta: got {alpha} and {beta}, expected numbers from 0 whose '
      'difference is 1'
    )
  negative = (
    Part('positive', 'negative'),
    Part('negative', 'positive', bias=False),
  )
  return Redistribution((Group(_positive(), alpha), Group(negative, -beta)))


def gamma(share: float = 0.25) -> Redistribution:
  """The gamma rule: contributions of the output's sign count more.

  With inputs that are not negative and positive outputs the weights are
  ``w + share max(w, 0)``; the other cases are those of Andeol et al. 2021.

  Raises:
    ValueError: The share is not a number from 0.
  """
  if not share >= 0 or not math.isfinite(share):
    raise ValueError(f'share: got {share}, expected a number from 0')
  up = (
    Part('positive', 'positive', share),
    Part('negative', 'negative', share, bias=False),
  )
  down = (
    Part('positive', 'negative', share),
    Part('negative', 'positive', share, bias=False),
  )
  return Redistribution((Group(up, side=1), Group(down, side=-1)))


def w_square() -> Redistribution:
  """The w-squared rule, for inputs of any real number: by ``w_ij^2``."""
  return Redistribution((Group((Part('ones', 'square'),)),))


def flat() -> Redistribution:
  """The flat rule: to all inputs in the same way, for the lowest layers."""
  return Redistribution((Group((Part('ones', 'ones', bias=False),)),))


def z_box() -> Redistribution:
  """The z-box rule, for the layer that reads the image, of values in [0, 1].

  By ``x_i w_ij - low_i max(w_ij, 0) - high_i min(w_ij, 0)``, with black and
  white after the network's preprocessing as the ends of the box.
  """
  parts = (
    Part(),
    Part('low', 'positive', sign=-1.0),
    Part('high', 'negative', sign=-1.0),
  )
  return Redistribution((Group(parts),))


def norm() -> Redistribution:
  """The norm rule, for sums and averages: in proportion to the summands.

  The epsilon rule with its usual stabiliser, for layers without weights.
  """
  return epsilon()


def passed() -> Redistribution:
  """The pass rule: relevance as it is, for layers that keep the shape."""
  return Redistribution(())


def _positive() -> tuple[Part, ...]:
  return Part('positive', 'positive'), Part('negative', 'negative', bias=False)
