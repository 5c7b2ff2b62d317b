from tools import defaults

from vizlab import attribution


def test_defaults_are_those_that_results_were_made_with():
  occlusion = {'patch': 32, 'stride': 16, 'fill': 0.5, 'chunk': 16}
  assert defaults(attribution) == {
    'attention_relevance': {'token': 0},
    'attention_rollout': {'heads': 'mean', 'token': 0},
    'blurred': {'sigma': 8.0},
    'integrated_gradients': {'baseline': 0.0, 'steps': 50, 'chunk': 16},
    'occlusion': occlusion,
    'occlusion_scores': occlusion,
    'random_baselines': {'n': 8},
    'score_cam': {'baseline': 0.0, 'chunk': 16},
    'smoothgrad': {'samples': 50, 'sigma': 0.15, 'chunk': 16},
  }
