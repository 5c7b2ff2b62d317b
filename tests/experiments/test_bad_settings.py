"""Bad settings are refused by their own names, before anything is written."""

import pytest
from tools import start

from vizlab.runs import experiments

BAD = [
  (
    'visualize',
    {'layers': 'relu9'},
    "config.layers: got 'relu9', expected one",
  ),
  ('visualize', {'layers': ''}, 'config.layers: got none'),
  ('visualize', {'channels': '3,x'}, "config.channels: got '3,x'"),
  (
    'visualize',
    {'channels': '99'},
    'config.channels: got 99, expected 0 to 63',
  ),
  ('visualize', {'image': 'furrier'}, "config.image: got 'furrier', expected"),
  ('visualize', {'steps': 0}, 'config.steps: got 0'),
  (
    'visualize',
    {'objective': 'logits'},
    "config.objective: got 'logits', expected one of",
  ),
  (
    'visualize',
    {'objective': 'probability'},
    "config.layers: got 'relu2_1', expected 'fc'",
  ),
  ('visualize', {'batch': -1}, 'config.batch: got -1'),
  (
    'visualize',
    {'objective': 'logit'},
    "config.layers: got 'relu2_1', expected 'fc'",
  ),
  ('visualize', {'scale': 1.0}, 'config.scale: got 1.0'),
  ('visualize', {'pad': 1.5}, 'config.pad: got 1.5, expected a share'),
  ('visualize', {'crop': 0.0}, 'config.crop: got 0.0'),
  ('visualize', {'draws': 0}, 'config.draws: got 0'),
  ('visualize', {'noise': -1.0}, 'config.noise: got -1.0'),
  ('visualize', {'start': 'no.png'}, 'config.start: no such file: no.png'),
  (
    'visualize',
    {'start': 'sample:star_and_square', 'image': 'cppn'},
    "config.start: got 'sample:star_and_square' for 'cppn'",
  ),
  ('priors', {'families': 'l3'}, "config.families: got 'l3'"),
  ('priors', {'layer': 'relu9'}, "config.layer: got 'relu9'"),
  ('invert', {'images': ''}, 'config.images'),
  ('invert', {'optimizer': 'sgd'}, "config.optimizer: got 'sgd'"),
  ('invert', {'tv': (0.1, -1.0)}, 'config.tv: got'),
  ('invert', {'images': 'no.png'}, 'config.images: no such file: no.png'),
  ('dream', {'layers': 'relu9'}, "config.layers: got 'relu9'"),
  ('dream', {'channels': 'x'}, "config.channels: got 'x'"),
  ('dream', {'channels': '99'}, 'config.channels: got 99, expected 0 to 63'),
  ('dream', {'channels': ','}, "config.channels: got ','"),
  ('dream', {'tile': -1}, 'config.tile: got -1'),
  ('dream', {'zoom': 1.0}, 'config.zoom: got 1.0'),
  ('dream', {'rate': -0.1}, 'config.rate: got -0.1, expected more than 0'),
  ('dream', {'jitter': -1}, 'config.jitter: got -1'),
  ('dream', {'guides': 0}, 'config.guides: got 0'),
  ('dream', {'image': ''}, "config.image: got '', expected a file"),
  ('visualize', {'size': 1}, 'config.size: got'),
  ('visualize', {'learning_rate': -1.0}, 'config.learning_rate: got -1.0'),
  ('priors', {'families': ''}, 'config.families: got none'),
  ('priors', {'size': 1}, 'config.size: got'),
  ('priors', {'sigma': -1.0}, 'config.sigma: got -1.0'),
  ('invert', {'size': 1}, 'config.size: got images of 1x1 pixels, too small'),
  ('invert', {'layers': 'sift', 'size': 24}, 'of at least 32 pixels'),
  ('mixtures', {'channels': '3'}, "config.channels: got '3', expected two"),
  ('mixtures', {'channels': '3,3'}, 'expected two different'),
  ('mixtures', {'channels': ''}, "config.channels: got '', expected two"),
  ('mixtures', {'layer': 'fc', 'compare': ''}, "'fc' gives a vector"),
  ('dream', {'size': 4}, 'config.size: got images of 4x4 pixels, too small'),
  ('dream', {'tile': 3}, 'config.tile: got 3'),
  ('dream', {'octaves': 0}, 'config.octaves: got 0'),
  ('priors', {'share': 2.0}, 'config.share: got 2.0'),
  ('invert', {'layers': ''}, 'config.layers: got none'),
  ('invert', {'tv': ()}, 'config.tv: got none'),
  (
    'visualize',
    {'objective': 'layer', 'channels': '5'},
    'config.channels: got',
  ),
  ('mixtures', {'count': 1}, 'config.count: got 1'),
  ('mixtures', {'size': 1}, 'config.size: got'),
  ('multifaceted', {'channel': 64}, 'config.channel: got 64'),
  ('multifaceted', {'facets': 12}, 'config.top, config.facets: got 12, 12'),
  ('multifaceted', {'size': 1}, 'config.size: got'),
  ('dream', {'scale': 1.0}, 'config.scale: got 1.0'),
  (
    'fool',
    {'targets': (16,)},
    'config.targets: got 16, expected classes 0 to 15',
  ),
  ('style_transfer', {'styles': ''}, 'config.styles: got none'),
  ('style_transfer', {'styles': 'no.png'}, 'config.styles: no such file'),
  ('style_transfer', {'content': ''}, "config.content: got ''"),
  ('style_transfer', {'content_layer': 'relu9'}, 'config.content_layer'),
  ('style_transfer', {'style_layers': 'fc'}, "config.style_layers: 'fc'"),
  ('style_transfer', {'style_layers': ''}, 'config.style_layers: got'),
  ('style_transfer', {'alpha': 0.0, 'beta': 0.0}, 'config.alpha, config.beta'),
  ('style_transfer', {'beta': -1.0}, 'config.beta: got -1.0'),
  ('style_transfer', {'patience': 0.1}, 'config.patience: got 0.1 with'),
  ('dream', {'power': 0.5}, 'config.power: got 0.5, expected at least 1'),
  ('style_transfer', {'shares': (0.5, 0.5)}, 'config.shares: got 2'),
  ('style_transfer', {'statistic': 'gramm'}, "config.statistic: got 'gramm'"),
  ('style_transfer', {'colours': 'grey'}, "config.colours: got 'grey'"),
  ('style_transfer', {'style_scale': 0.0}, 'config.style_scale: got 0.0'),
  ('style_transfer', {'octaves': 3}, 'config.size, config.octaves: got 48, 3'),
  ('texture', {'models': ' ; '}, 'config.models: got none'),
  ('texture', {'images': ''}, 'config.images: got none'),
  ('texture', {'models': 'relu9'}, "config.models: got 'relu9'"),
  ('texture', {'models': 'relu1_1:x'}, "config.models: got 'relu1_1:x'"),
  ('texture', {'size': 16}, 'config.size, config.octaves: got 16, 2'),
  ('texture', {'optimizer': 'sgd'}, "config.optimizer: got 'sgd'"),
  ('texture', {'tile': 8}, 'config.tile: got 8, expected at least'),
  ('texture', {'snapshots': -1}, 'config.snapshots: got -1'),
  ('style_grid', {'ratios': ()}, 'config.ratios: got'),
  ('style_grid', {'ratios': (-1.0,)}, 'config.ratios: got'),
  ('style_grid', {'beta': 0.0}, 'config.beta: got 0.0, expected more'),
  ('style_transfer', {'shares': (-1.0,)}, 'config.shares: got .-1.0,.'),
  ('style_transfer', {'shares': ('a',)}, "config.shares: got .'a',."),
  ('style_transfer', {'shares': (float('inf'),)}, 'config.shares: got .inf,.'),
  ('texture', {'weight': -1.0}, 'config.weight: got -1.0'),
  ('doodle', {'weight': 0.0}, 'config.weight: got 0.0'),
  ('doodle', {'style_mask': 'a.png'}, 'expected all three'),
  ('doodle', {'layers': ''}, 'config.layers: got none'),
  (
    'doodle',
    {'style': 'sample:star_and_square'},
    'expected all three, or none',
  ),
  ('fool', {'images': ''}, 'config.images: got none'),
  ('fool', {'other': 'no.safetensors'}, 'config.other: no such file'),
  ('fool', {'targets': ()}, 'config.targets: got none'),
  ('fool', {'targets': ('sta',)}, "config.targets: got 'sta'.* mean 'star'"),
  ('fool', {'images': 'no*.png'}, r"config.images: got 'no\*.png', which no"),
  ('fool', {'labels': 'no.json'}, 'config.labels: no.json: .* No such file'),
  ('attribution', {'methods': ''}, 'config.methods: got none'),
  (
    'attribution',
    {'targets': (16,)},
    'config.targets: got 16, expected classes',
  ),
  ('attribution', {'classes': 17}, 'config.classes: got 17, expected at most'),
  ('attribution', {'patch': -1}, 'config.patch: got -1'),
  ('attribution', {'chunk': 0}, 'config.chunk: got 0'),
  ('attribution', {'images': '', 'scenes': 0}, 'config.images: got no picture'),
  ('attribution', {'labels': 'no.json'}, 'config.labels: no.json: .* No such'),
  ('attribution', {'targets': (1.5,)}, 'config.targets: got 1.5, expected'),
  ('attribution', {'targets': (True,)}, 'config.targets: got True, expected'),
  ('attribution', {'layer': 'fc'}, "config.layer: 'fc' gives no map, expected"),
  (
    'attribution',
    {'layer': 'relu9'},
    "config.layer: got 'relu9', expected one",
  ),
  ('attribution', {'methods': ','}, "config.methods: got none, expected 'all'"),
  ('attribution', {'methods': 'gradcam'}, "config.methods: .* mean 'grad_cam'"),
  ('attribution', {'images': 'no.png'}, 'config.images: no such file: no.png'),
  ('attribution', {'images': 'sample:sta'}, "config.images: got 'sample:sta'"),
  ('attribution', {'patch': 97}, 'config.patch: got 97'),
  ('folder', {'folder': 'gone'}, 'config.folder: got gone .no such folder.'),
  ('folder', {'batch_size': 0}, 'config.batch_size: got 0'),
  ('folder', {'workers': -1}, 'config.workers: got -1'),
  ('judge', {'methods': 'salience'}, "config.methods: .* mean 'saliency'"),
  ('judge', {'scenes': 0}, 'config.scenes: got 0'),
  ('judge', {'layer': 'relu9'}, "config.layer: got 'relu9'"),
  ('sanity', {'batch': 0}, 'config.batch: got 0'),
  ('sanity', {'random_labels': 'alexnet'}, 'labels: .* a file of its weights'),
  (
    'units',
    {'channels': '3,x'},
    "config.channels: got '3,x', expected numbers",
  ),
  ('units', {'channels': '64'}, 'config.channels: got 64, expected 0 to 63'),
  ('units', {'top': 0}, 'config.top: got 0'),
  ('judge', {'photos': 'gone'}, 'config.photos: no such file or folder: gone'),
  ('judge', {'steps': 0}, 'config.steps: got 0'),
  ('sanity', {'random_labels': 'no.pth'}, 'config.random_labels: no such file'),
  ('units', {'unit': 'neurone'}, "config.unit: got 'neurone', .* 'neuron'"),
  ('units', {'layer': 'fc'}, "config.layer: 'fc' gives no map"),
  ('multifaceted', {'codes': 'relu9'}, "config.codes: got 'relu9'"),
  ('mixtures', {'compare': 'relu9'}, "config.compare: got 'relu9'"),
  ('cue_conflict', {'others': 'no.pth'}, 'config.others: no such file: no.pth'),
  ('cue_conflict', {'images': 'no.png'}, "config.images: got 'no'|no.png"),
  ('style_grid', {'style_layers': 'relu9'}, "config.style_layers: got 'relu9'"),
  ('style_transfer', {'tile': 8}, 'config.tile: got 8'),
  ('style_transfer', {'masks': 'no.png'}, 'config.masks: no such file'),
  ('train_minivgg', {'stages': ()}, 'config.stages: got'),
  ('train_minivgg', {'noise': 2.0}, 'config.noise: got 2.0, expected 0 to 1'),
  ('train_minivgg', {'batch_size': 0}, 'config.batch_size: got 0'),
]


WITH_NET = [name for name in experiments.known() if name != 'train_minivgg']
BAD_NETS = [
  ({'weights': 'no.pth'}, 'config.net.weights: no such file: no.pth'),
  ({'weights': 'vgg'}, "config.net.weights: got 'vgg', expected a file"),
  (
    {'arch': 'vgg11'},
    'config.net.weights: .* does not hold the weights of vgg',
  ),
  ({'arch': 'minivg'}, "config.net.arch: got 'minivg', .* mean 'minivgg'"),
  ({'pool': 'mean'}, "config.net.pool: got 'mean', expected one of"),
  (
    {'preprocess': 'cafe'},
    "config.net.preprocess: got 'cafe', expected one of",
  ),
]


def check(name, change, message, workdir):
  """A setting is refused by its own name, and nothing is written."""
  with pytest.raises(ValueError, match=message) as caught:
    start(name, workdir, **change)
  told = str(caught.value)
  assert told.startswith('config.') and '\n' not in told
  assert not workdir.exists()


@pytest.mark.parametrize(('name', 'change', 'message'), BAD)
def test_bad_settings_leave_no_work_directory(name, change, message, tmp_path):
  check(name, change, message, tmp_path / 'run')


@pytest.mark.parametrize(('net', 'message'), BAD_NETS)
def test_bad_nets_are_told_by_their_flags(net, message, tmp_path):
  check('units', {'net': net}, message, tmp_path / 'run')


@pytest.mark.parametrize('name', WITH_NET)
def test_every_experiment_names_the_setting_of_its_net(name, tmp_path):
  net, message = BAD_NETS[0]
  check(name, {'net': net}, message, tmp_path / 'run')


def test_every_experiment_has_a_bad_setting():
  assert {name for name, *_ in BAD} == {*experiments.known()}
