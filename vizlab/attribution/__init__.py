"""Which pixels a score comes from."""

from vizlab.attribution.cam import (
  activation_and_gradient,
  grad_cam,
  guided_grad_cam,
)
from vizlab.attribution.gradient import (
  deconvnet,
  gradient,
  gradient_x_input,
  guided_backprop,
  saliency,
)
from vizlab.attribution.occlusion import (
  Occluder,
  occlusion,
  occlusion_sweep,
)

__all__ = [
  'Occluder',
  'activation_and_gradient',
  'deconvnet',
  'grad_cam',
  'gradient',
  'gradient_x_input',
  'guided_backprop',
  'guided_grad_cam',
  'occlusion',
  'occlusion_sweep',
  'saliency',
]
