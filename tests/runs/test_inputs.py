"""Pictures, classes and methods named by settings, and their errors."""

import json
import pathlib

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from tools import start

from vizlab import io, nets
from vizlab.nets.graph import init_params
from vizlab.nets.layers import Conv, Dense, Flatten, ReLU
from vizlab.runs import inputs, provenance, settings
from vizlab_experiments.configs import blocks
from vizlab_experiments.shared import classes, methods
from vizlab_experiments.synthesis import visualize

LABELS = (
  'tench, Tinca tinca',
  'tabby, tabby cat',
  'Egyptian cat',
  'crane',
  'crane machine',
  'sports_car',
  'crane',
)


def test_errors_take_the_names_of_settings():
  with pytest.raises(ValueError, match=r'^config\.net\.arch: got 3: no$'):
    with settings.named(arch='net.arch', path='net.weights'):
      raise ValueError('arch: got 3: no')
  for text in ('side: got 3', 'no arch'):
    with pytest.raises(ValueError, match=f'^{text}$'):
      with settings.named(arch='net.arch'):
        raise ValueError(text)


OWN = """
import jax
from vizlab import nets


def forward(x):
  x = jax.lax.reduce_window(
    x, -jax.numpy.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID'
  )
  return x.mean((1, 2))


def load_net():
  return nets.from_function(forward, jax.numpy.zeros((1, 8, 12, 3)))
"""


def own_net(folder, code, **settings):
  path = folder / 'mine.py'
  path.write_text(code)
  config = blocks.net()
  config.update({'weights': str(path), **settings})
  return inputs.load_net(ConfigDict({'net': config}))


def test_a_network_of_a_python_file(tmp_path):
  net = own_net(tmp_path, OWN)
  assert (net.arch, net.spec.size, net.has_classifier) == ('forward', 8, True)
  assert net.layer_names == ('max_pool', 'mean')
  inputs.check_layers(net, 'layers', ['mean'])
  with pytest.raises(ValueError, match=r"config\.layers: got 'pool'"):
    inputs.check_layers(net, 'layers', ['pool'])
  with pytest.raises(ValueError, match='net: forward is a function, expected'):
    _ = net.ops
  x = jax.random.uniform(jax.random.key(0), (1, 8, 12, 3))
  mean = own_net(tmp_path, OWN, pool='avg')
  np.testing.assert_allclose(mean(x)[0], x.mean((1, 2)), rtol=1e-5)
  assert (net(x)[0] > mean(x)[0]).all()


@pytest.mark.parametrize(
  ('code', 'settings', 'message'),
  [
    ('', {}, r'config\.net\.weights: .* has no function load_net\(\)'),
    ('def load_net():\n  return 3', {}, 'returned a int, expected a network'),
    (OWN, {'arch': 'vgg19'}, r"config\.net\.arch: got 'vgg19', expected none"),
    (OWN, {'dtype': 'bfloat16'}, r'config\.net\.weights: got a FunctionNet'),
    (OWN, {'weights': 'absent.py'}, "got 'absent.py', expected a file that"),
  ],
)
def test_a_python_file_without_a_network(code, settings, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    own_net(tmp_path, code, **settings)


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in ('b.png', 'a.png', 'more/c.png', '[d].png'):
    io.write_png(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
  (tmp_path / 'notes.txt').write_text('x')
  return tmp_path


@pytest.mark.parametrize(
  ('given', 'found'),
  [
    ('b.png, a.png', ['b.png', 'a.png']),
    ('sample:a,?.png', ['sample:a', 'a.png', 'b.png']),
    ('**/*.png', ['[d].png', 'a.png', 'b.png', 'more/c.png']),
    ('more,[d].png', ['more/c.png', '[d].png']),
    ('.', ['[d].png', 'a.png', 'b.png', 'more/c.png']),
    ('gone.png', ['gone.png']),  # to be told when it is read
  ],
)
def test_pictures_by_paths_folders_and_patterns(given, found, folder):
  config = ConfigDict({'images': given})
  assert list(inputs.picture_paths(config, 'images')) == found


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    (' ,', 'config.images: got none, expected comma-separated images'),
    ('a.png,*.gif', r"config.images: got '\*.gif', which no file matches"),
    ('empty', 'config.images: got empty with no photo in it'),
  ],
)
def test_no_pictures_are_told(given, message, folder):
  (folder / 'empty').mkdir()
  with pytest.raises(ValueError, match=message):
    inputs.picture_paths(ConfigDict({'images': given}), 'images')


def test_a_record_has_the_pictures_of_a_pattern(folder):
  found = provenance.record({'images': '?.png', 'out': 'more'})['sha256']
  assert found.keys() == {'a.png', 'b.png'}


def test_a_thin_picture_is_told_by_its_file(tmp_path):
  path = io.write_png(tmp_path / 'thin.png', np.zeros((1, 900, 3), np.uint8))
  message = 'config.images: .*thin.png has 900x1 pixels, too thin'
  with pytest.raises(ValueError, match=message):
    start('attribution/explain', tmp_path / 'run', images=str(path))
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('given', 'found'),
  [
    ((1, '2', '06'), (1, 2, 6)),
    (('tabby',), (1,)),
    (('Tinca Tinca', 'TENCH', 'sports car'), (0, 0, 5)),
    (('tabby, tabby cat',), (1,)),
    (('egyptian,car,2',), (2, 5, 2)),
    (('crane machine',), (4,)),
    ((), ()),
    (('',), ()),
  ],
)
def test_classes_by_number_and_by_name(given, found):
  assert classes.chosen_classes('config.targets', given, LABELS) == found


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    (('crane',), r"'crane', which 2 classes have, such as crane \(3\), crane"),
    (('cat',), r'which 2 classes have, such as tabby, tabby cat \(1\), Egypt'),
    (('taby',), r"got 'taby', expected classes 0 to 6 or names as \['tabby, "),
    ((7,), 'got 7, expected classes 0 to 6'),
    (('-1',), "got '-1', expected classes 0 to 6$"),
    ((1.0,), 'got 1.0, expected classes'),
    ((True,), 'got True, expected classes'),
  ],
)
def test_unknown_classes_are_told(given, message):
  with pytest.raises(ValueError, match=f'^config.targets: .*{message}'):
    classes.chosen_classes('config.targets', given, LABELS)


def test_targets_by_name_from_the_command_line(tmp_path):
  names = json.dumps([f'{name}_1' for name in 'abcdefghijklmnop'])
  labels = tmp_path / 'labels.json'
  labels.write_text(names)
  same = {'scenes': 0, 'score_scenes': 0, 'methods': 'gradient'}
  for run, change in (
    ('shapes', {**same, 'targets': ('ring', 2)}),
    ('own', {**same, 'targets': ('p_1',), 'labels': str(labels)}),
  ):
    start('attribution/explain', tmp_path / run, **change)
  with np.load(tmp_path / 'shapes' / 'maps.npz') as maps:
    known = classes.class_names(
      ConfigDict({'labels': ''}), nets.load('minivgg')
    )
    assert maps['targets'].tolist() == [[known.index('ring'), 2]]
  with np.load(tmp_path / 'own' / 'maps.npz') as maps:
    assert maps['targets'].tolist() == [[15]]


def test_units_of_the_logits_by_name():
  net, config = nets.load('minivgg'), ConfigDict({'channels': 'ring, 2'})
  known = classes.class_names(ConfigDict({'labels': ''}), net)
  chosen = visualize.chosen_channels(config, net, 'fc')
  assert chosen == [known.index('ring'), 2]
  with pytest.raises(ValueError, match="config.channels: got 'rin', .*'ring'"):
    visualize.chosen_channels(ConfigDict({'channels': 'rin'}), net, 'fc')
  with pytest.raises(ValueError, match='config.channels: .* expected comma'):
    visualize.chosen_channels(config, net, 'relu5_2')


def unpooled():
  """A small net without global pooling."""
  ops = (Conv('conv', 4), ReLU('relu'), Flatten('flat'), Dense('fc', 16))
  spec = nets.InputSpec(16, (0.5,) * 3, (0.25,) * 3)
  params = init_params(ops, (16, 16, 3), jax.random.key(0))
  return nets.Network('flat', ops, spec, params)


def test_all_methods_but_what_a_net_cannot(capsys, tmp_path):
  assert methods.chosen_methods(ConfigDict({'methods': 'all'})) == (
    *methods.METHODS,
  )
  net = unpooled()
  left, told = methods.possible_methods(methods.METHODS, net)
  assert {*methods.METHODS} - {*left} == {'cam'}
  line = 'Left out: cam needs a net with global pooling, and flat has none.'
  assert told.strip() == line and capsys.readouterr().err.strip() == line
  with pytest.raises(ValueError, match='config.methods: cam needs a net with'):
    methods.possible_methods(['cam'], net)
  pooled = nets.load('minivgg')
  assert methods.possible_methods(['cam'], pooled) == (('cam',), '')


def test_methods_of_relus_and_of_linear_layers_are_left_out_of_transformers():
  net = jax.eval_shape(lambda: nets.create('vit_b_16', classes=3))
  asked = ['deconvnet', 'saliency', 'lrp', 'fullgrad', 'occlusion']
  left, note = methods.possible_methods(asked, net)
  assert left == ('saliency', 'occlusion')
  assert 'deconvnet needs a net with ReLUs, and vit_b_16 has none;' in note
  assert 'lrp has no rule for Tokens, a layer of vit_b_16' in note
  with pytest.raises(ValueError, match='config.methods: guided_backprop needs'):
    methods.possible_methods(['guided_backprop'], net)
  for name in ('vgg11', 'resnet18', 'googlenet', 'densenet121'):
    net = jax.eval_shape(lambda name=name: nets.create(name))
    assert methods.possible_methods(asked, net) == (tuple(asked), '')


def test_a_report_says_what_is_left_out(tmp_path):
  path = nets.save(unpooled(), tmp_path / 'net.safetensors')
  start(
    'attribution/explain',
    tmp_path / 'run',
    net={'weights': str(path)},
    methods='gradient,cam',
    patch=0,
    scenes=0,
    score_scenes=0,
  )
  page = pathlib.Path(tmp_path / 'run' / 'report.html').read_text()
  assert 'Left out: cam needs a net with global pooling' in page
