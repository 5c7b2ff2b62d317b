"""Settings that experiments with networks that make images refuse."""

GENERATORS = [
  ('generate/chairs', {'azimuths': 9}, 'config.azimuths: got 9, expected an e'),
  ('generate/chairs', {'ema': 1.0}, 'config.ema: got 1.0, expected at least'),
  ('generate/fast_style', {'ema': -0.1}, 'config.ema: got -0.1, expected at'),
  ('generate/texture_network', {'ema': 2.0}, 'config.ema: got 2.0, expected'),
  ('generate/super_resolution', {'ema': 1.0}, 'config.ema: got 1.0, expect'),
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
