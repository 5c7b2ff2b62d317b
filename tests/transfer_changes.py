"""Settings of transfer learning: other values, and values that are refused."""

from probe_changes import Change

DATA = {'tasks': 'data', 'data': '{files}/task.npz'}
PHOTOS = {'tasks': 'photos', 'photos': '{files}/wordnet'}
GROUPS = ('n00000000', 'one'), ('n02086000', 'other')
DATA_TASK, PHOTOS_TASK = (
  {key if key != 'tasks' else 'task': value for key, value in each.items()}
  for each in (DATA, PHOTOS)
)
_FILES = 'data', 'photos', 'groups'
TASKS = {
  'seed': 5,
  'tasks': 'textures',
  'size': 32,
  'examples': 160,
  'tests': 20,
  'data': Change('{files}/task2.npz', DATA),
  'photos': Change('{files}/wordnet/*_[0-3].png', PHOTOS),
  'groups': Change(GROUPS, PHOTOS),
}
TUNED = {'strategies': 'all'}
FAST = {'learning_rate': 0.1}
TRANSFERRED = {
  'probes/linear_probes': {
    **TASKS,
    'others': 'minivgg_random_labels',
    'untrained': False,
    'layers': 'relu2_1',
    'per_class': 3,
    'positions': 3,
    'decays': Change((10.0,), {}),
    'batch': Change(3, {'decays': (10.0,)}, 'nothing'),
  },
  'training/transfer_learning': {
    **TASKS,
    'per_class': (3,),
    'repeats': 2,
    'strategies': 'scratch',
    'frozen': Change('relu1_1', {**FAST, 'strategies': 'last'}),
    'features': Change('relu4_2', {}),
    'steps': Change(3, TUNED | FAST),
    'batch_size': Change(3, TUNED | FAST),
    'learning_rate': Change(0.1, TUNED),
    'slow_share': Change(1.0, TUNED | FAST),
    'patience': Change(1, {**TUNED, 'steps': 160, 'learning_rate': 0.5}),
  },
  'training/transferability': {
    **{k: v for k, v in TASKS.items() if k not in ('tasks', *_FILES)},
    'task': 'textures',
    'data': Change('{files}/task2.npz', DATA_TASK),
    'photos': Change('{files}/wordnet/*_[0-3].png', PHOTOS_TASK),
    'groups': Change(GROUPS, PHOTOS_TASK),
    'per_class': 3,
    'repeats': 2,
    'layers': 'relu3_1',
    'steps': Change(3, FAST),
    'batch_size': 3,
    'learning_rate': 0.1,
    'patience': Change(1, {'steps': 160, 'learning_rate': 0.5}),
  },
  'training/interpretable': {
    'seed': 5,
    'layer': 'relu5_2',
    'mask': False,
    'loss': 'none',
    'weight': 2.0,
    'beta': 2.0,
    'tau': Change(0.5, {'loss': 'information'}),
    'stages': ((32, 3),),
    'batch_size': 3,
    'learning_rate': 0.01,
    'known': 5,
    'scenes': 40,
    'quantile': 0.9,
    'least': 0.05,
    'shown': Change(3, {}, 'pictures'),
  },
}
REFUSED = [
  ('probes/linear_probes', {'tasks': ''}, 'config.tasks: got none'),
  ('probes/linear_probes', {'tasks': 'cats'}, "config.tasks: got 'cats', exp"),
  (
    'probes/linear_probes',
    {'tasks': 'data'},
    "config.tasks: got 'data' without config.data",
  ),
  ('probes/linear_probes', {'layers': 'fc9'}, "config.layers: got 'fc9'"),
  ('probes/linear_probes', {'decays': (0.0,)}, r'config.decays: got \(0.0,\)'),
  ('probes/linear_probes', {'per_class': 1}, 'config.per_class: got 1, expec'),
  ('probes/linear_probes', {'per_class': 99}, 'config.per_class: got 99, exp'),
  (
    'probes/linear_probes',
    {'tasks': 'data', 'data': 'no.npz'},
    'config.data: no such file: no.npz',
  ),
  (
    'probes/linear_probes',
    {
      'tasks': 'photos',
      'photos': 'sample:star_and_square',
      'groups': (('n2', 'a'), ('n1', 'b')),
    },
    r"config.groups: got \(\('n2', 'a'\)",
  ),
  (
    'probes/linear_probes',
    {'tasks': 'photos', 'photos': 'sample:star_and_square'},
    'config.photos: no such file or folder: sample:star',
  ),
  (
    'training/transfer_learning',
    {'strategies': 'luck'},
    "config.strategies: got 'luck', expected one of",
  ),
  ('training/transfer_learning', {'per_class': ()}, 'config.per_class: got no'),
  (
    'training/transfer_learning',
    {'frozen': 'relu9'},
    "config.frozen: got 'relu9', expected one of",
  ),
  ('training/transfer_learning', {'features': 'x'}, "config.features: got 'x'"),
  ('training/transferability', {'layers': ''}, 'config.layers: got none'),
  ('training/transferability', {'layers': 'relu9'}, "config.layers: got 'relu"),
  ('training/transferability', {'task': 'x'}, "config.task: got 'x', expected"),
  ('training/transfer_learning', {'patience': 0}, 'config.patience: got 0'),
  (
    'training/transfer_learning',
    {'frozen': 'fc'},
    "config.frozen: got 'fc', expected a layer of minivgg through which",
  ),
  (
    'training/transferability',
    {'layers': 'pool1,fc'},
    "config.layers: got 'fc",
  ),
  ('training/transfer_learning', {'slow_share': 2.0}, 'config.slow_share: got'),
  ('training/transferability', {'seed': -1}, 'config.seed: got -1'),
  (
    'training/interpretable',
    {'loss': 'x'},
    "config.loss: got 'x', expected on",
  ),
  (
    'training/interpretable',
    {'layer': 'gap'},
    "config.layer: got 'gap', expec",
  ),
  (
    'training/interpretable',
    {'layer': 'conv5_2'},
    "config.layer: got 'conv5_2', expected a ReLU",
  ),
  ('training/interpretable', {'layer': 'x'}, "config.layer: got 'x', expected"),
  ('training/interpretable', {'beta': 0.0}, 'config.beta: got 0.0, expected'),
  ('training/interpretable', {'tau': -1.0}, 'config.tau: got -1.0, expected'),
  ('training/interpretable', {'weight': -1.0}, 'config.weight: got -1.0, expe'),
  ('training/interpretable', {'quantile': 1.0}, 'config.quantile: got 1.0, ex'),
  ('training/interpretable', {'least': 0.0}, 'config.least: got 0.0, expected'),
  ('training/interpretable', {'scenes': 20}, 'config.scenes: got 20, expected'),
  (
    'training/interpretable',
    {'stages': ()},
    r'config.stages: got \(\), expect',
  ),
  ('training/interpretable', {'stages': ((8, 1),)}, 'config.stages: got imag'),
  ('probes/linear_probes', {'others': 'minivgg'}, 'config.others: got minivgg'),
]
