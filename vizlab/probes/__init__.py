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
from vizlab.probes.filters import (
  Grating,
  aliasing,
  cropped,
  expanded_weights,
  filter_order,
  grating,
)
from vizlab.probes.neighbours import Neighbours, nearest, no_neighbours
from vizlab.probes.strongest import Strongest, merged, no_images, strongest

__all__ = [
  'Activity',
  'Grating',
  'Neighbours',
  'Strongest',
  'activity',
  'aliasing',
  'combined',
  'cropped',
  'expanded_weights',
  'filter_order',
  'grating',
  'histogram',
  'log_edges',
  'merged',
  'nearest',
  'no_activity',
  'no_images',
  'no_neighbours',
  'strongest',
]
