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
from vizlab.probes.correlation import (
  Products,
  combined_products,
  correlation,
  no_products,
  products,
)
from vizlab.probes.curves import Tuning, in_one_frame, tuning
from vizlab.probes.dictionaries import (
  Dictionary,
  decode,
  dictionary_loss,
  encode,
  new_dictionary,
  unit_atoms,
)
from vizlab.probes.dissection import (
  Overlap,
  no_overlap,
  overlap,
  quantile,
)
from vizlab.probes.effects import Effects, contributions, effects
from vizlab.probes.filters import (
  Grating,
  Spectrum,
  aliasing,
  cropped,
  expanded_weights,
  filter_order,
  grating,
  spectrum,
  used,
)
from vizlab.probes.layouts import on_grid, principal
from vizlab.probes.linear import (
  LinearProbe,
  best_linear_probe,
  linear_probe,
  probe_logits,
)
from vizlab.probes.neighbours import Neighbours, nearest, no_neighbours
from vizlab.probes.parts import (
  location_instability,
  part_interpretability,
  peaks,
)
from vizlab.probes.similarity import linear_cka, svcca
from vizlab.probes.strongest import Strongest, merged, no_images, strongest
from vizlab.probes.tour import grand_tour

__all__ = [
  'Activity',
  'Dictionary',
  'Effects',
  'Grating',
  'LinearProbe',
  'Neighbours',
  'Overlap',
  'Products',
  'Spectrum',
  'Strongest',
  'Tuning',
  'activity',
  'aliasing',
  'best_linear_probe',
  'combined',
  'combined_products',
  'contributions',
  'correlation',
  'cropped',
  'decode',
  'dictionary_loss',
  'effects',
  'encode',
  'expanded_weights',
  'filter_order',
  'grand_tour',
  'grating',
  'histogram',
  'in_one_frame',
  'linear_cka',
  'linear_probe',
  'location_instability',
  'log_edges',
  'merged',
  'nearest',
  'new_dictionary',
  'no_activity',
  'no_images',
  'no_neighbours',
  'no_overlap',
  'no_products',
  'on_grid',
  'overlap',
  'part_interpretability',
  'peaks',
  'principal',
  'probe_logits',
  'products',
  'quantile',
  'spectrum',
  'strongest',
  'svcca',
  'tuning',
  'unit_atoms',
  'used',
]
