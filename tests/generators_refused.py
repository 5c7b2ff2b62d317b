"""Settings that experiments with networks that make images refuse."""

GENERATORS = [
  ('generate/chairs', {'azimuths': 9}, 'config.azimuths: got 9, expected an e'),
  ('generate/fast_style', {'size': 34}, 'config.size: got 34, .* multiple of'),
  ('generate/fast_style', {'upsampling': 'bilinear'}, 'config.upsampling: got'),
  (
    'generate/texture_network',
    {'size': 33},
    'config.size: got 33, expected a multiple of 2',
  ),
  (
    'generate/super_resolution',
    {'size': 26},
    'config.size: got 26, expected a multiple of 4, at least 24',
  ),
  (
    'generate/learned_prior',
    {'widths': (8, 8)},
    'config.widths: got 2, which make images of 12 pixels, expected 96',
  ),
  (
    'generate/learned_prior',
    {'samples': 3},
    'config.samples: got 3, expected a divisor of the 4 steps',
  ),
  ('generate/super_resolution', {'factor': 3}, 'config.factor: got 3'),
  (
    'generate/stylise',
    {'net': {'weights': 'minivgg'}},
    "config.net.weights: minivgg ends with 'fc'",
  ),
]
