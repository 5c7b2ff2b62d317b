import pathlib
import subprocess
import sys

import pytest

from vizlab.commands import describing
from vizlab.runs import experiments

OWN = '''"""Does one thing.

Expected: another.
"""


def get_config():
  config.experiment = 'my'
  config.top = 9  # patches of a unit
  # Of the first layer,
  # in pixels.
  config.side = 3
  config.steps = 8

  config.net = blocks.net()
  config.names = (
    'a',
    'b',
  )  # of both
'''
SHARED = """
def net():
  config.weights = 'minivgg'  # or a file
  config.steps = 1  # of nothing


def other():
  config.side = 5  # of another
  config.steps = 1  # of another
"""


def test_comments_beside_and_above():
  assert describing.comments(OWN) == {
    'top': 'patches of a unit',
    'side': 'Of the first layer, in pixels.',
    'names': 'of both',
  }
  assert describing.comments(SHARED, {'net'}) == {
    'weights': 'or a file',
    'steps': 'of nothing',
  }


def test_settings_in_the_order_of_their_lines():
  for name, order in (
    ('generate/learned_prior', ['seed', 'net.arch', 'code', 'pixel', 'feature',
                                'prior', 'condition', 'noise']),
    ('probes/building_blocks', ['layer', 'lower', 'groups', 'steps', 'power']),
  ):  # fmt: skip
    config = experiments.config_module(name).get_config()
    path = experiments.config_path(name)
    text = describing.described(config, experiments.sources(path))
    places = [text.index(f'  --config.{setting}=') for setting in order]
    assert places == sorted(places)


def test_settings_with_their_values(tmp_path):
  config = experiments.config_module('probes/units').get_config()
  config.layer = 'fc'
  path = experiments.config_path('probes/units')
  text = describing.described(config, experiments.sources(path))
  assert text.startswith('Shows the patches that excite units most')
  lines = text.splitlines()
  for name, value, told in (
    ('layer', 'fc', None),
    ('count', '6', 'how many of those'),
    ('photos', '', 'A folder (or pattern) of labelled photos instead.'),
    ('net.weights', 'minivgg', 'or a file, of weights or of code: load_net()'),
    ('channels', '', 'numbers; () for those that fire most'),
  ):
    at = lines.index(f'  --config.{name}={value}')
    assert told is None or lines[at + 1] == f'      {told}'
  (tmp_path / 'own.py').write_text(OWN)
  (tmp_path / 'shared.py').write_text(SHARED)
  paths = tmp_path / 'own.py', tmp_path / 'shared.py'
  config = type(config)({'experiment': 'my', 'side': 3, 'steps': 8})
  text = describing.described(config, paths)
  assert '--config.side=3\n      Of the first layer, in pixels.' in text
  assert 'of another' not in text and '--config.experiment' not in text


@pytest.mark.parametrize('name', experiments.known())
def test_every_config_is_described(name):
  config = experiments.config_module(name).get_config()
  path = experiments.config_path(name)
  text = describing.described(config, experiments.sources(path))
  assert 'Expected:' in text and '\nSettings:\n' in text
  assert text.count('  --config.') >= len([*config]) - 1


@pytest.mark.slow
def test_the_command_prints_it_and_writes_nothing(tmp_path):
  script = pathlib.Path(__file__).parents[2] / 'scripts' / 'run.py'
  done = subprocess.run(
    [
      *(sys.executable, script, '--config=synthesis/dream:vgg19'),
      *('--config.steps=7', '--describe'),
    ],
    capture_output=True,
    text=True,
    cwd=tmp_path,
  )
  assert done.returncode == 0, done.stderr
  assert '  --config.steps=7\n' in done.stdout
  assert not [*tmp_path.iterdir()]


def test_tuples_are_shown_as_flags_take_them():
  config = experiments.config_module('training/minivgg').get_config()
  path = experiments.config_path('training/minivgg')
  text = describing.described(config, experiments.sources(path))
  assert '--config.stages=((64, 700), (96, 500))\n' in text
  config = experiments.config_module('style/transfer').get_config()
  path = experiments.config_path('style/transfer')
  text = describing.described(config, experiments.sources(path))
  assert '--config.style_layers=relu1_1,relu2_1,relu3_1,' in text
