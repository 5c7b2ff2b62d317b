"""Judging attributions."""

from vizlab.evaluate.faithfulness import (
  infidelity,
  max_sensitivity,
  sparseness,
)
from vizlab.evaluate.imputation import impute
from vizlab.evaluate.masks import energy_inside, iou, pointing_game
from vizlab.evaluate.randomization import cascading, independent
from vizlab.evaluate.removal import (
  Curve,
  DropIncrease,
  deletion,
  drop_increase,
  insertion,
  removal_curve,
  road,
)
from vizlab.evaluate.similarity import hog_correlation, spearman, ssim

__all__ = [
  'Curve',
  'DropIncrease',
  'cascading',
  'deletion',
  'drop_increase',
  'energy_inside',
  'hog_correlation',
  'impute',
  'independent',
  'infidelity',
  'insertion',
  'iou',
  'max_sensitivity',
  'pointing_game',
  'removal_curve',
  'road',
  'sparseness',
  'spearman',
  'ssim',
]
