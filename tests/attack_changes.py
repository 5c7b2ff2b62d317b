"""Settings of the attacks: another value of each, and some that are refused."""

from probe_changes import Change

__all__ = ['ATTACKED', 'REFUSED']

ATTACKED = {
  'adversarial/attack': {
    'seed': Change(5, {'attacks': 'pgd'}),
    'images': 'sample:crescent_and_cross',
    'labels': Change('{files}/labels.json', {}, 'pictures'),
    'attacks': 'pgd',
    'target': 'disc',
    'epsilon': 0.1,
    'l2': Change(3.0, {'attacks': 'pgd_l2'}),
    'steps': Change(3, {'attacks': 'pgd'}),
    'squares': Change(4, {'attacks': 'square', 'epsilon': 0.01}),
  },
  'adversarial/fool': {
    'seed': Change(5, {}, 'nothing'),
    'images': 'sample:crescent_and_cross',
    'targets': (3,),
    'labels': Change('{files}/labels.json', {}, 'pictures'),
    'other': 'minivgg_random_labels',
    # Of one of its two objects the sample is taken for already.
    'enough': Change(0.001, {'targets': (7, 13)}),
    'rate': 0.004,
    'steps': 3,
    'every': 2,
  },
  'adversarial/robust_pictures': {
    'seed': 5,
    'robust': 'minivgg',
    'labels': Change('{files}/labels.json', {'targets': '0'}, 'pictures'),
    'scenes': 3,
    'photos': '{files}/labelled',
    'shown': 2,
    'batch': Change(1, {}, 'nothing'),
    'targets': 'disc',
    'radius': 1.0,
    'steps': 2,
    'layer': 'relu4_2',
    'rate': Change(0.5, {'steps': 2}),
  },
  'adversarial/robust_training': {
    'seed': 5,
    'method': 'plain',
    'epsilon': 0.1,
    'norm': 'l2',
    'attack_steps': 2,
    'replays': Change(1, {'method': 'free'}),
    'beta': Change(1.0, {'method': 'trades'}),
    'sigma': Change(0.5, {'method': 'gaussian'}),
    'stages': ((40, 1),),
    'batch_size': 3,
    'learning_rate': 0.1,
    # They change accuracies, which a tiny run leaves at 0 or 1.
    'eval_scenes': Change(0, {}, 'config.eval_scenes: got 0'),
    'eval_steps': Change(0, {}, 'config.eval_steps: got 0'),
    'epsilons': (0.1,),
  },
  'adversarial/certificates': {
    'seed': 5,
    'others': 'minivgg_random_labels',
    'scenes': 1,
    'photos': '{files}/labelled',
    'data': Change('none.npz', {}, 'config.data: no such file'),
    'count': Change(1, {'data': '{files}/images.npz'}),
    'sigmas': (0.3,),
    'selection': 5,
    'samples': 9,
    'alpha': 0.1,
    'chunk': Change(1, {}, 'nothing'),
  },
  'adversarial/robustness': {
    # Random starts in a ball of no size.
    'seed': Change(5, {}),
    'others': 'minivgg_random_labels',
    'scenes': 1,
    'photos': '{files}/labelled',
    'data': Change('none.npz', {}, 'config.data: no such file'),
    'count': Change(1, {'data': '{files}/images.npz'}),
    'norm': 'l2',
    'epsilons': (0.1,),
    'batch': Change(1, {}, 'nothing'),
    'steps': 3,
    'targets': 2,
    'squares': 4,
  },
}
REFUSED = [
  ('adversarial/certificates', {'alpha': 1.0}, 'config.alpha: got 1.0'),
  ('adversarial/attack', {'attacks': 'pgd9'}, "config.attacks: got 'pgd9'"),
  ('adversarial/robust_pictures', {'scenes': 1}, 'config.scenes, config.pho'),
  ('adversarial/robustness', {'norm': 'l9'}, "config.norm: got 'l9'"),
  (
    'adversarial/robust_training',
    {'method': 'fast'},
    "config.method: got 'fast', expected one of",
  ),
]
