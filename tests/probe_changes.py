"""Another value of each setting of the probes' configs, and what shows it."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Change:
  """Another value, the settings it needs beside it, and what shows it.

  Attributes:
    value: What the setting is changed to.
    also: Settings with which it matters, before and after.
    shows: ``'arrays'`` (and figures) that change; ``'pictures'`` that change;
      ``'pages'`` of a site that do;
      ``'trained'``: the training of scenes is given it, as in training/minivgg;
      ``'nothing'``: all arrays stay as they are; ``'files'``: likewise, and
      there are more of them; or else an error with that text.
  """

  value: Any
  also: dict[str, Any] = dataclasses.field(default_factory=dict)
  shows: str = 'arrays'


# What all that train on scenes have.
TRAINING = {
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
}
# Tested with one experiment, and given to the same function by the others.
TRAINED = {
  key: Change(row.value, row.also, 'trained')
  if isinstance(row, Change)
  else Change(row, {}, 'trained')
  for key, row in TRAINING.items()
  if key != 'seed'  # it draws more than what is trained
}
PROBES = {
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
  'attribution/concepts': {
    'seed': 5,
    'image': 'sample:crescent_and_cross',
    'target': 'disc',
    'labels': Change('none.json', {}, 'config.labels: none.json'),
    'layer': 'relu2_1',
    'composite': 'epsilon_gamma_box',
    'concepts': 2,
    'scenes': 8,
    'photos': '{files}/labelled',
    'top': 2,
    'batch': Change(3, {}, 'nothing'),
  },
  'probes/atlas': {
    'seed': 5,
    'layer': 'relu3_2',
    'labels': Change('{files}/labels.json', {}, 'pages'),
    'scenes': 8,
    'photos': '{files}/labelled',
    'method': Change('tsne', {'perplexity': 3.0}),
    'perplexity': Change(5.0, {'method': 'tsne', 'perplexity': 2.0}),
    'grid': 2,
    'least': Change(13, {}, 'config.least: got 13, expected at most'),
    'size': 48,
    'steps': 3,
    'learning_rate': Change(0.3, {'steps': 2}),
    'power': Change(0.0, {'steps': 2}),
    'icons_batch': Change(1, {'grid': 2}),
    'batch': Change(5, {}, 'nothing'),
  },
  'probes/building_blocks': {
    'seed': 5,
    'image': 'sample:crescent_and_cross',
    'target': 'disc',
    'labels': Change('none.json', {}, 'config.labels: none.json'),
    'layer': 'relu4_2',
    'grid': 2,
    'lower': 'relu2_1',
    'reach': Change(0.5, {'grid': 2, 'steps': 2}),
    'positions': 3,
    'units': 3,
    'groups': 3,
    'size': 48,
    'steps': 3,
    'learning_rate': Change(0.3, {'steps': 2}),
    'power': Change(3.0, {'steps': 2}),
    'icons_batch': 2,
  },
  'probes/curves': {
    'seed': Change(5, {}, 'nothing'),
    'layers': 'relu1_1,relu2_1',
    'angles': 6,
    'radii': (9.0,),
    'width': 2.5,
    'reach': 6.0,
    'directed': 0.9,
    'shown': Change(2, {}, 'pictures'),
    'batch': Change(1, {}, 'nothing'),
  },
  'probes/dictionary': {
    'seed': 5,
    'layer': 'relu1_1',
    'scenes': 24,
    'photos': Change('{files}/labelled', {}, 'config.scenes, config.photos'),
    'positions': 9,
    'atoms': 14,
    'active': 2,
    'factors': 3,
    'training_steps': 20,
    'training_batch': 16,
    'training_rate': 0.1,
    'patience': Change(1, {'active': 1, 'training_steps': 40}),
    'shown': Change(1, {}, 'pictures'),
    'patches': Change(1, {}, 'pictures'),
    'size': 48,
    'steps': 2,
    'learning_rate': Change(0.3, {'steps': 2}),
    'power': Change(0.0, {'steps': 2}),
    'icons_batch': 1,
    'batch': Change(5, {}, 'nothing'),
  },
  'probes/dissection': {
    'seed': 5,
    'layers': 'relu2_1,relu5_2',
    'scenes': 12,
    'quantile': 0.9,
    'least': 0.2,
    'shuffled': True,
    'explained': 'relu1_1',
    'units': 2,
    'shown': Change(2, {}, 'pictures'),
    'batch': Change(4, {}, 'nothing'),
  },
  'probes/filters': {
    'ordered': Change(False, {}, 'pictures'),
    'shared': Change(True, {}, 'pictures'),
    'layers': 'conv3_1',
    'channels': '5',
    'count': 2,
    'inputs': 2,
  },
  'probes/maps': {
    'seed': 5,
    'layer': 'relu2_1',
    'method': 'tsne',
    'perplexity': Change(9.0, {'method': 'tsne'}),
    'scenes': 30,
    'photos': Change('{files}/labelled', {}, 'config.photos: got 3 pictures'),
    'side': Change(24, {}, 'pictures'),
    'batch': Change(5, {}, 'nothing'),
  },
  'probes/similarity': {
    'seed': 5,
    'other': Change(None, {}),
    'layers': 'relu2_1,relu5_2',
    'measure': Change('svcca', {'positions': 1, 'scenes': 80}),
    'kept': Change(0.7, {'measure': 'svcca', 'positions': 1, 'scenes': 80}),
    'positions': 2,
    'scenes': 10,
    'photos': '{files}/labelled',
    'batch': Change(5, {}, 'nothing'),
  },
  'probes/microscope': {
    'seed': 5,
    'layers': 'relu1_1',
    'channels': '3',
    'scenes': 1,
    'photos': '{files}/labelled',
    'labels': Change('{files}/labels.json', {}, 'pages'),
    'top': 2,
    'size': Change(48, {}, 'pages'),
    'steps': Change(3, {}, 'pages'),
    'learning_rate': Change(0.3, {'steps': 2}, 'pages'),
    'diverse': Change(1, {}, 'pages'),
    'diversity': Change(9.0, {'diverse': 1, 'steps': 2}, 'pages'),
    'links': Change(2, {}, 'pages'),
    'classes': Change(2, {}, 'pages'),
    'batch': Change(1, {}, 'nothing'),
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
  'probes/through_training': {
    **TRAINED,
    'seed': 5,
    'epochs': (2,),
    'layers': 'relu2_1',
    'units': 3,
    'scenes': 4,
    'batch': Change(3, {}, 'nothing'),
    # It changes the accuracy, which is in no array.
    'eval_scenes': Change(0, {}, 'config.eval_scenes: got 0'),
  },
  'probes/tour': {
    'seed': 5,
    'layers': 'fc',
    'labels': Change('{files}/labels.json', {'layers': 'fc'}, 'pages'),
    'scenes': 6,
    'photos': '{files}/labelled',
    'components': 4,
    'turns': 2,
    'steps': 3,
    'batch': Change(3, {}, 'nothing'),
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
  'probes/zfnet': {
    **TRAINED,
    'seed': 5,
    'width': 5,
    'scenes': 5,
    'batch': Change(3, {}, 'nothing'),
    'units': 1,
    'top': 1,
    'eval_scenes': Change(0, {}, 'config.eval_scenes: got 0'),
  },
}
