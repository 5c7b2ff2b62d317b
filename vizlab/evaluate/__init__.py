"""Metrics of attributions, textures, images and the shape bias of networks."""

from vizlab.evaluate.conflict import Bias, decide, shape_bias
from vizlab.evaluate.faithfulness import (
  infidelity,
  max_sensitivity,
  sparseness,
)
from vizlab.evaluate.fidelity import lpips, psnr
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
from vizlab.evaluate.textures import (
  CoOccurrence,
  co_occurrence,
  co_occurrence_distance,
  radial_spectrum,
  spectrum_distance,
)

__all__ = [
  'Bias',
  'CoOccurrence',
  'Curve',
  'DropIncrease',
  'cascading',
  'co_occurrence',
  'co_occurrence_distance',
  'decide',
  'deletion',
  'drop_increase',
  'energy_inside',
  'hog_correlation',
  'impute',
  'independent',
  'infidelity',
  'insertion',
  'iou',
  'lpips',
  'max_sensitivity',
  'pointing_game',
  'psnr',
  'radial_spectrum',
  'removal_curve',
  'road',
  'shape_bias',
  'sparseness',
  'spearman',
  'spectrum_distance',
  'ssim',
]
