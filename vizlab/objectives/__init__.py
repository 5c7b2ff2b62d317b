"""Objectives: functions of a network's outputs and activations."""

from vizlab.objectives.base import (
  Objective,
  Score,
  index,
  objective,
  score,
)
from vizlab.objectives.directions import (
  alignment,
  caricature,
  direction,
  diversity,
  guide,
)
from vizlab.objectives.losses import cross_entropy, dlr
from vizlab.objectives.matching import (
  content,
  covariances,
  features,
  grams,
  moments,
  wasserstein,
)
from vizlab.objectives.normalisation import normalised
from vizlab.objectives.units import (
  channel,
  layer_energy,
  logit,
  margin,
  neuron,
  peak,
  probability,
  top_label,
  total,
)

__all__ = [
  'Objective',
  'Score',
  'alignment',
  'caricature',
  'channel',
  'content',
  'covariances',
  'cross_entropy',
  'direction',
  'diversity',
  'dlr',
  'features',
  'grams',
  'guide',
  'index',
  'layer_energy',
  'logit',
  'margin',
  'moments',
  'neuron',
  'normalised',
  'objective',
  'peak',
  'probability',
  'score',
  'top_label',
  'total',
  'wasserstein',
]
