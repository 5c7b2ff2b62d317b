"""Config files and flags that are wrong, in one line each."""

import pytest
from absl import flags
from ml_collections import config_flags

from vizlab.commands import flag_errors

# What ml_collections uses.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module')

CONFIG = """from ml_collections import ConfigDict
def get_config(arg='1'):
  values = {'n': int(arg), 'rate': 0.5, 'flag': True, 'pair': (1, 2)}
  return ConfigDict({**values, 'net': {'a': 'b'}})
"""


def parsed(*flags_given):
  """Error for flags, as the launcher reports it."""
  values, argv = flags.FlagValues(), ['run.py', *flags_given]
  config_flags.DEFINE_config_file(
    'config', None, flag_values=values, sys_argv=argv
  )
  try:
    values(argv)
  except Exception as error:
    return flag_errors.wrong_file(argv) or flag_errors.wrong_flag(error)
  return flag_errors.wrong_file(argv)


@pytest.fixture
def own(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'mine.py').write_text(CONFIG)
  return tmp_path


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('n=1e20', "config.n: got '1e20', expected an int"),
    ('n=2.5', "config.n: got '2.5', expected an int"),
    ('rate=fast', "config.rate: got 'fast', expected a float"),
    ('flag=5', "config.flag: got '5', expected true or false"),
    ('pair=(1,', 'config.pair: got \'(1,\', expected a tuple, as "(1, 2)"'),
    ('net=5', "config.net: got '5', expected a dict"),
    ('net.b=5', "config: no setting 'b' in this config"),
    ('rat=5', "config: no setting 'rat'; did you mean 'rate'?"),
    ('n=3', ''),
  ],
)
def test_wrong_flags(flag, message, own):
  told = parsed('--config=mine.py', f'--config.{flag}')
  assert told.startswith(message) and bool(told) == bool(message)


@pytest.mark.parametrize(
  ('given', 'text', 'message'),
  [
    ('mine.py', '', 'mine.py has no get_config(), expected one as in configs/'),
    (
      'mine.py',
      'x = 1\n\ny = x / 0',
      'mine.py, line 3: ZeroDivisionError: div',
    ),
    ('mine.py', 'x = (', "mine.py, line 1: SyntaxError: '(' was never closed"),
    (
      'mine.py',
      'import nowhere',
      'mine.py, line 1: ModuleNotFoundError: No mod',
    ),
    (
      'mine.py',
      "open('nowhere')",
      'mine.py, line 1: FileNotFoundError: [Errno',
    ),
    (
      'mine.py:x',
      CONFIG,
      'mine.py, line 3: ValueError: invalid literal for int',
    ),
    ('mine.py', 'get_config = lambda: 3', 'get_config() of mine.py gave a int'),
    ('min.py', CONFIG, "no such file: min.py; did you mean 'mine.py'?"),
    ('.', CONFIG, 'is a folder: .'),
    ('', CONFIG, "got '', expected the name of a config"),
    ('mine.txt', CONFIG, 'mine.txt: ValueError: expected a .py file'),
    ('mine.py:2', CONFIG, ''),
  ],
)
def test_wrong_files(given, text, message, own):
  for name in ('mine.py', 'mine.txt'):
    (own / name).write_text(text)
  told = parsed(f'--config={given}')
  assert told.startswith(message and f'config: {message}'), told
  assert bool(told) == bool(message) and '\n' not in told
  assert flag_errors.wrong_file(['run.py', '--config', given]) == told


def test_no_file_is_given():
  assert flag_errors.wrong_file(['run.py', '--list']) == ''
