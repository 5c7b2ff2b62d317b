"""Attribution: maps of the pixels that a score depends on."""

from vizlab.attribution.cam import (
  cam,
  grad_cam,
  grad_cam_pp,
  guided_grad_cam,
  hires_cam,
  layer_cam,
)
from vizlab.attribution.fullgrad import FullGradient, full_gradient, fullgrad
from vizlab.attribution.gradient import (
  deconvnet,
  gradient,
  gradient_x_input,
  guided_backprop,
  saliency,
)
from vizlab.attribution.integrated import (
  blurred,
  integrated_gradients,
  random_baselines,
)
from vizlab.attribution.layer_gradients import (
  LayerGradients,
  activation_and_gradient,
  layer_gradients,
)
from vizlab.attribution.lrp import (
  EPSILON_ALPHA2_BETA1,
  EPSILON_ALPHA2_BETA1_FLAT,
  EPSILON_GAMMA_BOX,
  EPSILON_PLUS,
  EPSILON_PLUS_FLAT,
  layer_relevance,
  lrp,
)
from vizlab.attribution.occlusion import (
  Occluder,
  occlusion,
  occlusion_scores,
)
from vizlab.attribution.rollout import (
  attention_relevance,
  attention_rollout,
)
from vizlab.attribution.score_cam import score_cam
from vizlab.attribution.smoothgrad import smoothgrad

__all__ = [
  'EPSILON_ALPHA2_BETA1',
  'EPSILON_ALPHA2_BETA1_FLAT',
  'EPSILON_GAMMA_BOX',
  'EPSILON_PLUS',
  'EPSILON_PLUS_FLAT',
  'FullGradient',
  'LayerGradients',
  'Occluder',
  'activation_and_gradient',
  'attention_relevance',
  'attention_rollout',
  'blurred',
  'cam',
  'deconvnet',
  'full_gradient',
  'fullgrad',
  'grad_cam',
  'grad_cam_pp',
  'gradient',
  'gradient_x_input',
  'guided_backprop',
  'guided_grad_cam',
  'hires_cam',
  'integrated_gradients',
  'layer_cam',
  'layer_gradients',
  'layer_relevance',
  'lrp',
  'occlusion',
  'occlusion_scores',
  'random_baselines',
  'saliency',
  'score_cam',
  'smoothgrad',
]
