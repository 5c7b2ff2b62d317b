"""Another value of each setting of each config, and what shows it."""

import dataclasses
from typing import Any

from tiny_configs import STYLE


@dataclasses.dataclass(frozen=True)
class Change:
  """Another value, the settings it needs beside it, and what shows it.

  Attributes:
    value: What the setting is changed to.
    also: Settings with which it matters, before and after.
    shows: ``'arrays'`` (and figures) that change; ``'pictures'`` that change;
      ``'nothing'``: all arrays stay as they are; ``'files'``: likewise, and
      there are more of them; or else an error with that text.
  """

  value: Any
  also: dict[str, Any] = dataclasses.field(default_factory=dict)
  shows: str = 'arrays'


LONG = {'steps': 40}
# What all that paint have.
PAINT = {
  'statistic': 'moments',
  'normalise': True,
  'tv': 1e5,
  'size': 40,
  'octaves': Change(2, {}),
  'optimizer': 'adam',
  'learning_rate': 0.01,
  'steps': 3,
  'later_steps': Change(1, {'octaves': 2}),
  'patience': Change(1e9, {**LONG, 'normalise': False}),
  'snapshots': Change(1, {}, 'files'),
  'tile': Change(1, {}, 'config.tile: got 1'),
}
TRANSFER = {
  **PAINT,
  'shares': Change((0.9, 0.1), {'styles': '{files}/heart1.png,{files}/a.png'}),
  'content_layer': 'relu2_1',
  'style_layers': 'relu2_1',
  'beta': 1e3,
  'start': 'style',
  'colours': 'matched',
  'seed': Change(5, {'start': 'noise'}),
}
PAINTED = {
  'style': '{files}/a.png',
  'style_mask': '{files}/left.png',
  'target_mask': '{files}/upper.png',
}
CONFLICT = {
  'contents': '{files}/disc1.png',
  'styles': '{files}/heart1.png',
  **STYLE,
}
PHOTOS = {'photos': '{files}/labelled'}
EXPLAIN = {
  'methods': 'gradient_x_input',
  'layer': Change('relu4_2', {'methods': 'grad_cam'}),
  'patch': Change(80, {'methods': 'occlusion'}),
  'samples': Change(3, {'methods': 'smoothgrad', 'samples': 2}),
  'chunk': Change(1, {'methods': 'smoothgrad', 'samples': 2}, 'nothing'),
}
TABLE = {
  'attribution/explain': {
    **EXPLAIN,
    'seed': Change(5, {'scenes': 1}),
    'images': 'sample:crescent_and_cross',
    'scenes': 1,
    'score_scenes': 2,
    'targets': (3,),
    'classes': 2,
    'labels': Change('{files}/labels.json', {}, 'pictures'),
  },
  'probes/cue_conflict': {
    **{
      k: dataclasses.replace(v, also=CONFLICT | v.also)
      if isinstance(v, Change)
      else Change(v, CONFLICT)
      for k, v in TRANSFER.items()
    },
    'shares': Change((3.0,), CONFLICT),
    'style_weights': Change((30.0,), CONFLICT),
    'alpha': Change(1e3, CONFLICT),
    'seed': Change(5, {}, 'pictures'),
    'others': 'minivgg_random_labels',
    'images': Change('{files}/disc1-heart1.png', {}, 'pictures'),
    'scenes': Change(20, {}, 'pictures'),
    'contents': Change('{files}/tee1.png', CONFLICT),
    'styles': Change('{files}/tee1.png', CONFLICT),
    'size': Change(40, {}, 'pictures'),
    'crop': Change(True, {'images': '{files}/disc1-heart1.png'}, 'pictures'),
  },
  'style/doodle': {
    **PAINT,
    'seed': 5,
    'style': Change('{files}/heart1.png', PAINTED),
    'style_mask': Change('{files}/upper.png', PAINTED),
    'target_mask': Change('{files}/left.png', PAINTED),
    'layers': 'relu2_1',
    'weight': 1e2,
  },
  'synthesis/dream': {
    'seed': 5,
    'image': 'sample:crescent_and_cross',
    'size': 48,
    'layers': 'relu2_1',
    'channels': '3',
    'power': 2.0,
    'guide': 'sample:crescent_and_cross',
    'guides': Change(2, {'guide': 'sample:crescent_and_cross'}),
    'octaves': Change(2, {'size': 48}),
    'scale': Change(1.2, {'size': 48, 'octaves': 2}),
    'steps': 2,
    'rate': 0.02,
    'levels': 3,
    'jitter': 9,
    'tile': 20,
    'frames': 1,
    'zoom': Change(1.3, {'frames': 1}),
    'frame_octaves': Change(2, {'frames': 1, 'size': 48}),
    'frame_steps': Change(3, {'frames': 1, 'frame_steps': 1}),
  },
  'attribution/folder': {
    **EXPLAIN,
    'folder': '{files}/labelled',
    'batch_size': Change(1, {}, 'nothing'),
    'workers': Change(0, {}, 'nothing'),
    'classes': 2,
    'labels': Change('{files}/labels.json', {}, 'pictures'),
    'half': False,
    'shown': Change(1, {}, 'pictures'),
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
  'synthesis/invert': {
    'seed': 5,
    'images': 'sample:crescent_and_cross',
    'layers': 'relu2_1',
    'size': 20,
    'tv': (30.0,),
    'seeds': 2,
    'noise': 0.3,
    'optimizer': 'adam',
    'learning_rate': 0.01,
    'steps': 2,
    'patience': Change(1e9, LONG),
  },
  'attribution/judge': {
    **EXPLAIN,
    'methods': 'gradient_x_input',
    'seed': 5,
    'scenes': 3,
    'photos': Change('{files}/labelled', {}),
    'faithful': 2,
    'steps': 2,
    'samples': 2,
    'changes': 2,
    'batch': Change(1, {'faithful': 2}, 'nothing'),
    'chunk': Change(1, {}, 'nothing'),
  },
  'synthesis/mixtures': {
    'seed': 5,
    'layer': 'relu2_1',
    'channels': '0,9',
    'compare': 'relu2_1',
    'count': 3,
    'image': 'pyramid',
    'size': 20,
    'steps': 3,
    'diversity': 30.0,
    'against': 3.0,
    'alignment': 2e3,
  },
  'synthesis/multifaceted': {
    'seed': 5,
    'layer': 'relu3_1',
    'channel': 3,
    'codes': 'relu2_1',
    'scenes': 9,
    'photos': Change('{files}/labelled', {'top': 3, 'facets': 1}),
    'top': 5,
    'facets': 3,
    'near': 2,
    'size': 20,
    'steps': 2,
    'learning_rate': Change(0.2, {'steps': 2}),
    # It changes rounding, which t-SNE enlarges.
    'batch': Change(0, {}, 'config.batch: got 0'),
  },
  'synthesis/priors': {
    'seed': 5,
    'layer': 'relu2_1',
    'channels': '3',
    'count': 2,
    'families': 'maco',
    'size': 20,
    'steps': 2,
    'rate': 0.1,
    'l2': Change(1e3, {'families': 'l2', 'steps': 2}),
    'tv': Change(1e3, {'families': 'frequency', 'steps': 2}),
    'decay': Change(0.5, {'families': 'yosinski'}),
    'sigma': Change(2.0, {'families': 'blurred gradient'}),
    'share': Change(0.5, {'families': 'yosinski'}),
    'fourier_decay': Change(0.5, {'families': 'fourier'}),
    'pad': Change(0.4, {'families': 'robust'}),
    'jitter': Change(0.4, {'families': 'robust'}),
    'scale': Change(0.6, {'families': 'robust'}),
    'rotation': Change(80.0, {'families': 'robust'}),
  },
  'attribution/sanity': {
    **EXPLAIN,
    'seed': 5,
    'random_labels': 'minivgg_random_labels',
    'learned.seed': Change(5, {'random_labels': 'minivgg_random_labels'}),
    'learned.scenes': Change(1, {'random_labels': 'minivgg_random_labels'}),
    'learned.size': Change(32, {'random_labels': 'minivgg_random_labels'}),
    'scenes': 3,
    'photos': Change('{files}/labelled', {}),
    'batch': Change(1, {}, 'nothing'),
  },
  'style/grid': {
    **TRANSFER,
    'content': 'sample:crescent_and_cross',
    'styles': '{files}/heart1.png',
    'ratios': (1e-4,),
  },
  'style/transfer': {
    **TRANSFER,
    'content': 'sample:crescent_and_cross',
    'styles': '{files}/heart1.png',
    'masks': '{files}/left.png',
    'normalise': False,
    'optimizer': 'lbfgs',
    'alpha': 1e3,
    'style_scale': 0.5,
    'style_weights': (30.0,),
  },
  'style/texture': {
    **PAINT,
    'seed': 5,
    'images': 'sample:crescent_and_cross',
    'models': 'relu1_1:3',
    'weight': 1e2,
  },
  'training/minivgg': {
    'seed': 5,
    'stages': ((32, 1), (48, 1)),
    'batch_size': 3,
    'learning_rate': 1e-2,
    'warmup_steps': 0,
    'weight_decay': 0.5,
    'first_kernel_scale': 0.1,
    'noise': 0.5,
    'two_objects': 1.0,
    'correlation': 1.0,
    'fixed_scenes': 2,
    'random_labels': Change(True, {'fixed_scenes': 4}),
    'calibration_batches': 2,
    # It changes the accuracy, which is 0 after two steps.
    'eval_scenes': Change(0, {}, 'config.eval_scenes: got 0'),
  },
  'probes/activations': {
    'seed': 5,
    'image': 'sample:crescent_and_cross',
    'target': 7,
    'layers': 'relu2_1',
    'channels': 2,
    'scenes': 3,
    'photos': '{files}/labelled',
    'batch': Change(1, {}, 'nothing'),
  },
  'probes/filters': {
    'ordered': Change(False, {}, 'pictures'),
    'shared': Change(True, {}, 'pictures'),
    'layers': 'conv3_1',
    'channels': '5',
    'count': 2,
    'inputs': 2,
  },
  'probes/neighbours': {
    'seed': 5,
    'layer': 'relu2_1',
    'metric': 'euclidean',
    'images': 'sample:crescent_and_cross',
    'count': 2,
    'neighbours': 2,
    'scenes': 4,
    'photos': '{files}/labelled',
    'batch': Change(1, {}, 'nothing'),
  },
  'probes/units': {
    'seed': Change(5, {}, 'pictures'),
    'layer': Change('relu2_1', {}, 'pictures'),
    'channels': Change('9', {}, 'pictures'),
    'count': 2,
    'unit': Change('channel', {}, 'pictures'),
    'top': Change(2, {}, 'pictures'),
    'scenes': Change(9, {'scenes': 2, 'top': 2}, 'pictures'),
    'photos': Change('{files}/labelled', {}, 'pictures'),
    'batch': Change(1, {}, 'nothing'),
  },
  'synthesis/visualize': {
    'seed': 5,
    'layers': 'relu2_1',
    'objective': 'neuron',
    'channels': '9',
    'count': 2,
    'image': 'pyramid',
    'size': 20,
    'steps': 2,
    'patience': Change(1e9, LONG),
    'learning_rate': Change(0.5, {'steps': 2}),
    'decay': 0.5,
    'pad': 0.4,
    'jitter': 0.4,
    'scale': 0.6,
    'rotation': 80.0,
    'crop': Change(0.9, {'image': 'maco'}),
    'noise': 0.5,
    'draws': 3,
    'tv': Change(1e3, {'steps': 2}),
    'l2': Change(1e3, {'steps': 2}),
    'opacity': True,
    'start': 'sample:crescent_and_cross',
    # Each batch starts from noise of its own.
    'batch': Change(1, {'count': 2}),
    'negative': True,
    'examples': Change(True, {'scenes': 2}, 'pictures'),
    'scenes': Change(9, {'scenes': 1, 'examples': True}, 'pictures'),
    'photos': Change(
      '{files}/labelled', {'scenes': 2, 'examples': True}, 'pictures'
    ),
  },
}
NET = {
  'weights': 'minivgg_random_labels',
  'arch': 'minivgg',
  'preprocess': 'caffe',
  'pool': 'avg',
}
