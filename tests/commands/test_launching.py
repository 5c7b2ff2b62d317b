"""Values of flags that are changed before absl parses them."""

import pytest

from vizlab.commands import launching
from vizlab.runs import experiments

DREAM = str(experiments.config_path('synthesis/dream'))


def paths(*argv):
  return launching._replaced(list(argv), launching._with_path)


def test_a_name_becomes_the_path_of_its_config():
  short, vgg19 = 'synthesis/dream', 'synthesis/dream:vgg19'
  assert paths('run', f'--config={short}') == ['run', f'--config={DREAM}']
  assert paths('run', '-config', vgg19) == ['run', '-config', f'{DREAM}:vgg19']
  for argv in (['run', '--config'], ['run', f'--workdir={short}'], [short]):
    assert paths(*argv) == argv
  assert paths('run', '--config=mine.py') == ['run', '--config=mine.py']


@pytest.mark.parametrize(
  ('text', 'parts'),
  [
    ('relu2_1,relu3_2', ('relu2_1', 'relu3_2')),
    ('photos/001.png, my photos/a.png', ('photos/001.png', 'my photos/a.png')),
    ('2024', ('2024',)),
    ("('a,b',)", ('a,b',)),
    (',', (',',)),
  ],
)
def test_a_list_becomes_a_tuple(text, parts):
  config = f'--config={DREAM}:vgg19'
  changed = launching._with_tuples(['run', config, f'--config.layers={text}'])
  assert changed == ['run', config, f'--config.layers={parts!r}']
  apart = ['run', '--config', DREAM, '--config.layers', text]
  assert launching._with_tuples(apart) == [*apart[:-1], repr(parts)]


def test_other_settings_stay_as_they_are(tmp_path):
  argv = ['run', f'--config={DREAM}', '--config.size=96', '--config.no=1,2']
  assert launching._with_tuples(argv) == argv
  wrong = tmp_path / 'wrong.py'
  wrong.write_text('x = (')
  for config in ([], [f'--config={wrong}']):
    argv = ['run', *config, '--config.layers=a,b']
    assert launching._with_tuples(argv) == argv
