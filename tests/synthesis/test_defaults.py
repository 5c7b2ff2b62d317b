from tools import defaults

from vizlab import synthesis

# Those of `fourier`, `inversion` and `robust` go with the pictures they make.
DEFAULTS = {
  'ascent': {'rate': 0.006},
  'bilateral_every': {'n': 4, 'space': 1.5, 'colour': 0.2},
  'blur_every': {'n': 4, 'sigma': 0.5},
  'blur_gradient': {'sigma': 1.0},
  'clip_small_contribution': {'share': 0.1, 'centre': 0.5},
  'clip_small_norm': {'share': 0.1, 'centre': 0.5},
  'colour': {'gain': 0.1, 'offset': 0.1},
  'cppn': {'width': 24, 'depth': 8},
  'decay': {'share': 0.01, 'centre': 0.5},
  'fool': {'enough': 5.0, 'rate': 1e-3, 'steps': 200, 'chunk': 5},
  'laplacian_normalise': {'levels': 4},
  'lbfgs': {'first': 0.05, 'most': 0.05, 'memory': 20, 'smooth': 0.0},
  'normalise': {'power': 1.0},
  'octave_sizes': {'scale': 2.0, 'least': 32},
  'on_noise': {'noise': 0.2},
  'pad': {'fill': 0.5},
  'pixels': {'noise': 0.0},
  'project': {'low': 0.0, 'high': 1.0},
  'pyramid': {'levels': 5, 'noise': 0.01},
  'rotate': {'degrees': 10.0, 'fill': 0.5},
  'scale': {'low': 0.9, 'high': 1.1, 'fill': 0.5},
  'mean_over_tiles': {'size': 512},
  'zoom': {'factor': 1.05},
}
DREAM = {'octaves': 4, 'scale': 1.4, 'steps': 10, 'rate': 0.006, 'jitter': 32}


def test_defaults_are_those_that_results_were_made_with():
  found = defaults(synthesis)
  for name, row in {**DEFAULTS, 'dream': DREAM}.items():
    shared = {k: v for k, v in found[name].items() if k in row}
    assert shared == row, name
