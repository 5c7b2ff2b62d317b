"""Bad settings are refused by their own names, before anything is written."""

import pytest
from tools import start

from vizlab.runs import experiments

BAD = [
  (
    'synthesis/visualize',
    {'layers': 'relu9'},
    "config.layers: got 'relu9', expected one",
  ),
  ('synthesis/visualize', {'layers': ''}, 'config.layers: got none'),
  ('synthesis/visualize', {'channels': '3,x'}, "config.channels: got '3,x'"),
  (
    'synthesis/visualize',
    {'channels': '99'},
    'config.channels: got 99, expected 0 to 63',
  ),
  (
    'synthesis/visualize',
    {'image': 'furrier'},
    "config.image: got 'furrier', expected",
  ),
  ('synthesis/visualize', {'steps': 0}, 'config.steps: got 0'),
  (
    'synthesis/visualize',
    {'objective': 'logits'},
    "config.objective: got 'logits', expected one of",
  ),
  (
    'synthesis/visualize',
    {'objective': 'probability'},
    "config.layers: got 'relu2_1', expected 'fc'",
  ),
  ('synthesis/visualize', {'batch': -1}, 'config.batch: got -1'),
  (
    'synthesis/visualize',
    {'objective': 'logit'},
    "config.layers: got 'relu2_1', expected 'fc'",
  ),
  ('synthesis/visualize', {'scale': 1.0}, 'config.scale: got 1.0'),
  (
    'synthesis/visualize',
    {'pad': 1.5},
    'config.pad: got 1.5, expected a share',
  ),
  ('synthesis/visualize', {'crop': 0.0}, 'config.crop: got 0.0'),
  ('synthesis/visualize', {'draws': 0}, 'config.draws: got 0'),
  ('synthesis/visualize', {'noise': -1.0}, 'config.noise: got -1.0'),
  (
    'synthesis/visualize',
    {'start': 'no.png'},
    'config.start: no such file: no.png',
  ),
  (
    'synthesis/visualize',
    {'start': 'sample:star_and_square', 'image': 'cppn'},
    "config.start: got 'sample:star_and_square' for 'cppn'",
  ),
  ('synthesis/priors', {'families': 'l3'}, "config.families: got 'l3'"),
  ('synthesis/priors', {'layer': 'relu9'}, "config.layer: got 'relu9'"),
  ('synthesis/invert', {'images': ''}, 'config.images'),
  ('synthesis/invert', {'optimizer': 'sgd'}, "config.optimizer: got 'sgd'"),
  ('synthesis/invert', {'tv': (0.1, -1.0)}, 'config.tv: got'),
  (
    'synthesis/invert',
    {'images': 'no.png'},
    'config.images: no such file: no.png',
  ),
  ('synthesis/dream', {'layers': 'relu9'}, "config.layers: got 'relu9'"),
  ('synthesis/dream', {'channels': 'x'}, "config.channels: got 'x'"),
  (
    'synthesis/dream',
    {'channels': '99'},
    'config.channels: got 99, expected 0 to 63',
  ),
  ('synthesis/dream', {'channels': ','}, "config.channels: got ','"),
  ('synthesis/dream', {'tile': -1}, 'config.tile: got -1'),
  ('synthesis/dream', {'zoom': 1.0}, 'config.zoom: got 1.0'),
  (
    'synthesis/dream',
    {'rate': -0.1},
    'config.rate: got -0.1, expected more than 0',
  ),
  ('synthesis/dream', {'jitter': -1}, 'config.jitter: got -1'),
  ('synthesis/dream', {'guides': 0}, 'config.guides: got 0'),
  ('synthesis/dream', {'image': ''}, "config.image: got '', expected a file"),
  ('synthesis/visualize', {'size': 1}, 'config.size: got'),
  (
    'synthesis/visualize',
    {'learning_rate': -1.0},
    'config.learning_rate: got -1.0',
  ),
  ('synthesis/priors', {'families': ''}, 'config.families: got none'),
  ('synthesis/priors', {'size': 1}, 'config.size: got'),
  ('synthesis/priors', {'sigma': -1.0}, 'config.sigma: got -1.0'),
  (
    'synthesis/invert',
    {'size': 1},
    'config.size: got images of 1x1 pixels, too small',
  ),
  ('synthesis/invert', {'layers': 'sift', 'size': 24}, 'of at least 32 pixels'),
  (
    'synthesis/mixtures',
    {'channels': '3'},
    "config.channels: got '3', expected two",
  ),
  ('synthesis/mixtures', {'channels': '3,3'}, 'expected two different'),
  (
    'synthesis/mixtures',
    {'channels': ''},
    "config.channels: got '', expected two",
  ),
  ('synthesis/mixtures', {'layer': 'fc', 'compare': ''}, "'fc' gives a vector"),
  (
    'synthesis/dream',
    {'size': 4},
    'config.size: got images of 4x4 pixels, too small',
  ),
  ('synthesis/dream', {'tile': 3}, 'config.tile: got 3'),
  ('synthesis/dream', {'octaves': 0}, 'config.octaves: got 0'),
  ('synthesis/priors', {'share': 2.0}, 'config.share: got 2.0'),
  ('synthesis/invert', {'layers': ''}, 'config.layers: got none'),
  ('synthesis/invert', {'tv': ()}, 'config.tv: got none'),
  (
    'synthesis/visualize',
    {'objective': 'layer', 'channels': '5'},
    'config.channels: got',
  ),
  ('synthesis/mixtures', {'count': 1}, 'config.count: got 1'),
  ('synthesis/mixtures', {'size': 1}, 'config.size: got'),
  ('synthesis/multifaceted', {'channel': 64}, 'config.channel: got 64'),
  (
    'synthesis/multifaceted',
    {'facets': 12},
    'config.top, config.facets: got 12, 12',
  ),
  ('synthesis/multifaceted', {'size': 1}, 'config.size: got'),
  ('synthesis/dream', {'scale': 1.0}, 'config.scale: got 1.0'),
  (
    'adversarial/fool',
    {'targets': (16,)},
    'config.targets: got 16, expected classes 0 to 15',
  ),
  ('style/transfer', {'styles': ''}, 'config.styles: got none'),
  ('style/transfer', {'styles': 'no.png'}, 'config.styles: no such file'),
  ('style/transfer', {'content': ''}, "config.content: got ''"),
  ('style/transfer', {'content_layer': 'relu9'}, 'config.content_layer'),
  ('style/transfer', {'style_layers': 'fc'}, "config.style_layers: 'fc'"),
  ('style/transfer', {'style_layers': ''}, 'config.style_layers: got'),
  ('style/transfer', {'alpha': 0.0, 'beta': 0.0}, 'config.alpha, config.beta'),
  ('style/transfer', {'beta': -1.0}, 'config.beta: got -1.0'),
  ('style/transfer', {'patience': 0.1}, 'config.patience: got 0.1 with'),
  (
    'synthesis/dream',
    {'power': 0.5},
    'config.power: got 0.5, expected at least 1',
  ),
  ('style/transfer', {'shares': (0.5, 0.5)}, 'config.shares: got 2'),
  ('style/transfer', {'statistic': 'gramm'}, "config.statistic: got 'gramm'"),
  ('style/transfer', {'colours': 'grey'}, "config.colours: got 'grey'"),
  ('style/transfer', {'style_scale': 0.0}, 'config.style_scale: got 0.0'),
  ('style/transfer', {'octaves': 3}, 'config.size, config.octaves: got 48, 3'),
  ('style/texture', {'models': ' ; '}, 'config.models: got none'),
  ('style/texture', {'images': ''}, 'config.images: got none'),
  ('style/texture', {'models': 'relu9'}, "config.models: got 'relu9'"),
  ('style/texture', {'models': 'relu1_1:x'}, "config.models: got 'relu1_1:x'"),
  ('style/texture', {'size': 16}, 'config.size, config.octaves: got 16, 2'),
  ('style/texture', {'optimizer': 'sgd'}, "config.optimizer: got 'sgd'"),
  ('style/texture', {'tile': 8}, 'config.tile: got 8, expected at least'),
  ('style/texture', {'snapshots': -1}, 'config.snapshots: got -1'),
  ('style/grid', {'ratios': ()}, 'config.ratios: got'),
  ('style/grid', {'ratios': (-1.0,)}, 'config.ratios: got'),
  ('style/grid', {'beta': 0.0}, 'config.beta: got 0.0, expected more'),
  ('style/transfer', {'shares': (-1.0,)}, 'config.shares: got .-1.0,.'),
  ('style/transfer', {'shares': ('a',)}, "config.shares: got .'a',."),
  ('style/transfer', {'shares': (float('inf'),)}, 'config.shares: got .inf,.'),
  ('style/texture', {'weight': -1.0}, 'config.weight: got -1.0'),
  ('style/doodle', {'weight': 0.0}, 'config.weight: got 0.0'),
  ('style/doodle', {'style_mask': 'a.png'}, 'expected all three'),
  ('style/doodle', {'layers': ''}, 'config.layers: got none'),
  (
    'style/doodle',
    {'style': 'sample:star_and_square'},
    'expected all three, or none',
  ),
  ('adversarial/fool', {'images': ''}, 'config.images: got none'),
  (
    'adversarial/fool',
    {'other': 'no.safetensors'},
    'config.other: no such file',
  ),
  ('adversarial/fool', {'targets': ()}, 'config.targets: got none'),
  (
    'adversarial/fool',
    {'targets': ('sta',)},
    "config.targets: got 'sta'.* mean 'star'",
  ),
  (
    'adversarial/fool',
    {'images': 'no*.png'},
    r"config.images: got 'no\*.png', which no",
  ),
  (
    'adversarial/fool',
    {'labels': 'no.json'},
    'config.labels: no.json: .* No such file',
  ),
  ('attribution/explain', {'methods': ''}, 'config.methods: got none'),
  (
    'attribution/explain',
    {'targets': (16,)},
    'config.targets: got 16, expected classes',
  ),
  (
    'attribution/explain',
    {'classes': 17},
    'config.classes: got 17, expected at most',
  ),
  ('attribution/explain', {'patch': -1}, 'config.patch: got -1'),
  ('attribution/explain', {'chunk': 0}, 'config.chunk: got 0'),
  (
    'attribution/explain',
    {'images': '', 'scenes': 0},
    'config.images: got no picture',
  ),
  (
    'attribution/explain',
    {'labels': 'no.json'},
    'config.labels: no.json: .* No such',
  ),
  (
    'attribution/explain',
    {'targets': (1.5,)},
    'config.targets: got 1.5, expected',
  ),
  (
    'attribution/explain',
    {'targets': (True,)},
    'config.targets: got True, expected',
  ),
  (
    'attribution/explain',
    {'layer': 'fc'},
    "config.layer: 'fc' gives no map, expected",
  ),
  (
    'attribution/explain',
    {'layer': 'relu9'},
    "config.layer: got 'relu9', expected one",
  ),
  (
    'attribution/explain',
    {'methods': ','},
    "config.methods: got none, expected 'all'",
  ),
  (
    'attribution/explain',
    {'methods': 'gradcam'},
    "config.methods: .* mean 'grad_cam'",
  ),
  (
    'attribution/explain',
    {'images': 'no.png'},
    'config.images: no such file: no.png',
  ),
  (
    'attribution/explain',
    {'images': 'sample:sta'},
    "config.images: got 'sample:sta'",
  ),
  ('attribution/explain', {'patch': 97}, 'config.patch: got 97'),
  (
    'attribution/folder',
    {'folder': 'gone'},
    'config.folder: got gone .no such folder.',
  ),
  ('attribution/folder', {'batch_size': 0}, 'config.batch_size: got 0'),
  ('attribution/folder', {'workers': -1}, 'config.workers: got -1'),
  (
    'attribution/judge',
    {'methods': 'salience'},
    "config.methods: .* mean 'saliency'",
  ),
  ('attribution/judge', {'scenes': 0}, 'config.scenes: got 0'),
  ('attribution/judge', {'layer': 'relu9'}, "config.layer: got 'relu9'"),
  ('attribution/sanity', {'batch': 0}, 'config.batch: got 0'),
  (
    'attribution/sanity',
    {'random_labels': 'alexnet'},
    'labels: .* a weight file',
  ),
  (
    'probes/units',
    {'channels': '3,x'},
    "config.channels: got '3,x', expected comma-separated numbers",
  ),
  (
    'probes/units',
    {'channels': '64'},
    'config.channels: got 64, expected 0 to 63',
  ),
  ('probes/units', {'top': 0}, 'config.top: got 0'),
  ('probes/activations', {'target': 16}, 'config.target: got 16'),
  ('probes/atlas', {'method': 'umap'}, "config.method: got 'umap'"),
  ('probes/building_blocks', {'groups': 0}, 'config.groups: got 0'),
  (
    'probes/dissection',
    {'layers': 'fc,relu5_2'},
    "config.layers: 'fc' gives a vector",
  ),
  ('probes/curves', {'angles': 3}, 'config.angles: got 3'),
  (
    'probes/dissection',
    {'explained': 'fc'},
    "config.explained: got 'fc'",
  ),
  ('probes/filters', {'layers': 'relu2_1'}, "config.layers: got 'relu2_1'"),
  ('probes/tour', {'components': 1}, 'config.components: got 1'),
  ('probes/maps', {'method': 'mds'}, "config.method: got 'mds'"),
  ('probes/microscope', {'top': 0}, 'config.top: got 0'),
  ('probes/neighbours', {'metric': 'l1'}, "config.metric: got 'l1'"),
  (
    'attribution/judge',
    {'photos': 'gone'},
    'config.photos: no such file or folder: gone',
  ),
  ('attribution/judge', {'steps': 0}, 'config.steps: got 0'),
  (
    'attribution/sanity',
    {'random_labels': 'no.pth'},
    'config.random_labels: no such file',
  ),
  (
    'probes/units',
    {'unit': 'neurone'},
    "config.unit: got 'neurone', .* 'neuron'",
  ),
  ('probes/units', {'layer': 'fc'}, "config.layer: 'fc' gives no map"),
  ('synthesis/multifaceted', {'codes': 'relu9'}, "config.codes: got 'relu9'"),
  ('synthesis/mixtures', {'compare': 'relu9'}, "config.compare: got 'relu9'"),
  (
    'probes/cue_conflict',
    {'others': 'no.pth'},
    'config.others: no such file: no.pth',
  ),
  (
    'probes/cue_conflict',
    {'images': 'no.png'},
    "config.images: got 'no'|no.png",
  ),
  ('style/grid', {'style_layers': 'relu9'}, "config.style_layers: got 'relu9'"),
  ('style/transfer', {'tile': 8}, 'config.tile: got 8'),
  ('style/transfer', {'masks': 'no.png'}, 'config.masks: no such file'),
  ('training/minivgg', {'stages': ()}, 'config.stages: got'),
  (
    'training/minivgg',
    {'noise': 2.0},
    'config.noise: got 2.0, expected 0 to 1',
  ),
  ('training/minivgg', {'batch_size': 0}, 'config.batch_size: got 0'),
]


WITH_NET = [name for name in experiments.known() if name != 'training/minivgg']
BAD_NETS = [
  ({'weights': 'no.pth'}, 'config.net.weights: no such file: no.pth'),
  ({'weights': 'vgg'}, "config.net.weights: got 'vgg', expected a weight file"),
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
  check('probes/units', {'net': net}, message, tmp_path / 'run')


@pytest.mark.parametrize('name', WITH_NET)
def test_every_experiment_names_the_setting_of_its_net(name, tmp_path):
  net, message = BAD_NETS[0]
  check(name, {'net': net}, message, tmp_path / 'run')


def test_every_experiment_has_a_bad_setting():
  assert {name for name, *_ in BAD} == {*experiments.known()}
