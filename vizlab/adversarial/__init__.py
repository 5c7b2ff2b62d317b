"""Attacks on nets: perturbations that change what a net says.

An attack is ``(score, x, ...) -> Attacked``: it raises a score within a ball
about the images. `mislead` and `lead` make that score from a net and a class;
any other score, such as one of a unit or of a layer, is attacked as well. Nets
own their preprocessing, so that radii are in intensities of [0, 1] for all.
"""

from vizlab.adversarial.apgd import apgd
from vizlab.adversarial.attacked import Attacked
from vizlab.adversarial.certified import (
  Certificate,
  certified_radius,
  interval_bounds,
  noisy_votes,
  sure_class,
)
from vizlab.adversarial.defences import (
  Defence,
  averaged,
  aware,
  behind,
  fit_heads,
  heads_doubt,
  squeezing_doubt,
  withstood,
)
from vizlab.adversarial.evaluation import (
  RobustAccuracy,
  Trial,
  robust_accuracy,
  summary,
  trial,
)
from vizlab.adversarial.goals import lead, mislead
from vizlab.adversarial.nearest import carlini_wagner, deepfool, fmn
from vizlab.adversarial.pgd import fgsm, pgd
from vizlab.adversarial.spatial import Moved, moved, spatial
from vizlab.adversarial.square import square
from vizlab.adversarial.training import (
  ascend,
  free_ascent,
  free_loss,
  madry_loss,
  trades_loss,
)
from vizlab.adversarial.universal import Universal, paste, patch, universal

__all__ = [
  'Attacked',
  'Certificate',
  'Defence',
  'Moved',
  'RobustAccuracy',
  'Trial',
  'Universal',
  'apgd',
  'ascend',
  'averaged',
  'aware',
  'behind',
  'carlini_wagner',
  'certified_radius',
  'deepfool',
  'fgsm',
  'fit_heads',
  'fmn',
  'free_ascent',
  'free_loss',
  'heads_doubt',
  'interval_bounds',
  'lead',
  'madry_loss',
  'mislead',
  'moved',
  'noisy_votes',
  'paste',
  'patch',
  'pgd',
  'robust_accuracy',
  'spatial',
  'square',
  'squeezing_doubt',
  'summary',
  'sure_class',
  'trades_loss',
  'trial',
  'universal',
  'withstood',
]
