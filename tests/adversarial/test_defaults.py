from tools import defaults

from vizlab import adversarial


def test_defaults_are_those_that_results_were_made_with():
  assert defaults(adversarial) == {
    'apgd': {'norm': 'linf', 'steps': 100, 'restarts': 1, 'chunk': 64},
    'ascend': {'norm': 'linf', 'steps': 7},
    'averaged': {'draws': 8},
    'carlini_wagner': {
      'steps': 200,
      'searches': 6,
      'weight': 1.0,
      'rate': 0.005,
      'confidence': 0.0,
      'chunk': 64,
    },
    'certified_radius': {'alpha': 0.001},
    'deepfool': {
      'norm': 'l2',
      'steps': 50,
      'candidates': 10,
      'overshoot': 0.02,
      'chunk': 64,
    },
    'fgsm': {'norm': 'linf', 'chunk': 64},
    'fit_heads': {'ridge': 0.01, 'chunk': 32},
    'fmn': {
      'norm': 'linf',
      'steps': 100,
      'rate': 1.0,
      'shrink': 0.05,
      'chunk': 64,
    },
    'free_ascent': {'norm': 'linf'},
    'madry_loss': {'norm': 'linf', 'steps': 7},
    'noisy_votes': {'chunk': 64},
    'patch': {'steps': 200, 'rate': 0.05, 'batch': 16},
    'pgd': {
      'norm': 'linf',
      'steps': 40,
      'momentum': 0.0,
      'restarts': 1,
      'draws': 1,
      'chunk': 64,
    },
    'robust_accuracy': {
      'norm': 'linf',
      'batch': 64,
      'steps': 100,
      'targets': 3,
      'squares': 500,
      'chunk': 64,
    },
    'spatial': {'degrees': 30.0, 'shift': 0.1, 'rotations': 31, 'shifts': 5},
    'square': {'norm': 'linf', 'steps': 500, 'share': 0.8, 'chunk': 64},
    'trades_loss': {'beta': 6.0, 'norm': 'linf', 'steps': 7},
    'trial': {
      'norm': 'linf',
      'steps': 100,
      'targets': 3,
      'squares': 500,
      'chunk': 64,
    },
    'universal': {
      'norm': 'linf',
      'steps': 200,
      'rate': 0.1,
      'batch': 32,
      'cap': 9.0,
    },
  }
