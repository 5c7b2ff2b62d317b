from tools import defaults

from vizlab import evaluate


def test_defaults_are_those_that_results_were_made_with():
  assert defaults(evaluate) == {
    'co_occurrence': {'levels': 16, 'distances': (1, 2, 4, 8)},
    'deletion': {'baseline': 0.5, 'steps': 32, 'chunk': 16},
    'drop_increase': {'baseline': 0.0},
    'hog_correlation': {'cell': 8},
    'impute': {'tolerance': 1e-5},
    'infidelity': {'sigma': 0.2, 'samples': 64, 'chunk': 16},
    'insertion': {'steps': 32, 'chunk': 16},
    'iou': {'threshold': 0.5},
    'max_sensitivity': {'radius': 0.02, 'samples': 10, 'chunk': 1},
    'pointing_game': {'tolerance': 0},
    'radial_spectrum': {'bins': 12},
    'removal_curve': {'chunk': 16},
    'road': {'shares': (0.1, 0.3, 0.5, 0.7, 0.9), 'noise': 0.01, 'chunk': 16},
  }
