"""Probes of what a network has learned: its weights and activations.

Pure functions over any network ``net(x, edits) -> (logits, acts)`` and over
plain arrays of kernels ``[K, h, w, C]`` and activations ``[B, H, W, C]``.
"""

from vizlab.probes.activations import (
  Activity,
  activity,
  combined,
  histogram,
  log_edges,
  no_activity,
)
from vizlab.probes.curves import Tuning, in_one_frame, tuning
from vizlab.probes.dissection import (
  Overlap,
  no_overlap,
  overlap,
  quantile,
)
from vizlab.probes.effects import Effects, contributions, effects
from vizlab.probes.filters import (
  Grating,
  aliasing,
  cropped,
  expanded_weights,
  filter_order,
  grating,
  used,
)
from vizlab.probes.layouts import on_grid, principal
from vizlab.probes.neighbours import Neighbours, nearest, no_neighbours
from vizlab.probes.strongest import Strongest, merged, no_images, strongest
from vizlab.probes.tour import grand_tour

__all__ = [
  'Activity',
  'Effects',
  'Grating',
  'Neighbours',
  'Overlap',
  'Strongest',
  'Tuning',
  'activity',
  'aliasing',
  'combined',
  'contributions',
  'cropped',
  'effects',
  'expanded_weights',
  'filter_order',
  'grand_tour',
  'grating',
  'histogram',
  'in_one_frame',
  'log_edges',
  'merged',
  'nearest',
  'no_activity',
  'no_images',
  'no_neighbours',
  'no_overlap',
  'on_grid',
  'overlap',
  'principal',
  'quantile',
  'strongest',
  'tuning',
  'used',
]
