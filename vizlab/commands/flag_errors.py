"""One-line errors for wrong flags and config files."""

import pathlib
import re
import traceback

from absl import flags
from ml_collections import ConfigDict

from vizlab.lookup import did_you_mean
from vizlab.runs import experiments
from vizlab.runs.experiments import load_file

__all__ = ['given_config', 'in_one_line', 'wrong_file', 'wrong_flag']

# Messages of absl for values of a wrong type, and the expected type.
_KINDS = {
  'invalid literal': 'an int',
  'could not convert': 'a float',
  'Non-boolean': 'true or false',
  'Error while parsing': 'a tuple, as "(1, 2)" or "(\'a b\', \'c\')"',
  'Failed to parse': 'a dict',
}


def wrong_flag(error: Exception) -> str:
  """Formats an error of absl's flags as ``name: got X, expected Y``."""
  parts = re.fullmatch(r'flag --([\w.]+)=(.*?): (.*)', str(error), re.DOTALL)
  if not isinstance(error, flags.IllegalFlagValueError) or not parts:
    return in_one_line(error)
  name, got, reason = parts.groups()
  for said, expected in _KINDS.items():
    if said in reason:
      return f'{name}: got {got!r}, expected {expected}'
  return f'{name}: got {got!r}, {in_one_line(ValueError(reason))}'


def in_one_line(error: Exception) -> str:
  """Formats an error in one line; names the setting if it does not exist."""
  text = ' '.join(str(error).replace('\\n', ' ').split())
  if near := re.search(r'Did you mean "(\w+)" instead of "(\w+)"', text):
    return f'config: no setting {near[2]!r}; did you mean {near[1]!r}?'
  if isinstance(error, AttributeError | KeyError):
    name = text.strip('"\'\\ ')
    return (
      f'config: no setting {name!r} in this config; vizlab-run --describe '
      'lists all of them'
    )
  return text


def wrong_file(argv: list[str]) -> str:
  """Describes what is wrong with the config file of the flags, or ``''``.

  Loads the file again, so it is called only after an error.
  """
  given = given_config(argv)
  if given is None:
    return ''
  name, colon, arg = given.partition(':')
  if not name:
    return "config: got '', expected the name of a config, or a file"
  path = pathlib.Path(name)
  if not path.is_file():
    known = [str(other) for other in sorted(path.parent.glob('*.py'))]
    if not path.suffix or path.parts[0] == 'configs':
      if now := experiments.renamed(path.stem):
        return f'config: {name!r} was renamed to {now!r}'
      known += experiments.known()
    what = 'is a folder' if path.is_dir() else 'no such file'
    return f'config: {what}: {name}{did_you_mean(name, known)}'
  try:
    module = load_file(name)
    if not callable(getattr(module, 'get_config', None)):
      return f'config: {name} has no get_config(), expected one as in configs/'
    config = module.get_config(*[arg] if colon else [])
  except Exception as error:  # a config is Python, so it may raise anything
    return f'config: {name}{_line(error, name)}: {_named(error)}'
  if not isinstance(config, ConfigDict):
    return (
      f'config: get_config() of {name} gave a {type(config).__name__}, '
      'expected a ConfigDict'
    )
  return ''


def given_config(argv: list[str]) -> str | None:
  """Value of ``--config=X`` or ``--config X``; None if it is not given."""
  for i, text in enumerate(argv):
    name, equal, value = text.partition('=')
    if name in ('--config', '-config'):
      return value if equal else ''.join(argv[i + 1 : i + 2])
  return None


def _line(error: Exception, path: str) -> str:
  """Line of a file in which an error was raised, as text; '' if none."""
  path = str(pathlib.Path(path).absolute())  # the form of importlib
  if isinstance(error, SyntaxError) and error.filename == path:
    return f', line {error.lineno}'
  frames = traceback.extract_tb(error.__traceback__)
  lines = [frame.lineno for frame in frames if frame.filename == path]
  return f', line {lines[-1]}' if lines else ''


def _named(error: Exception) -> str:
  """Formats an error with its type: ``ZeroDivisionError: division by zero``."""
  reason = error.msg if isinstance(error, SyntaxError) else error
  return f'{type(error).__name__}: {" ".join(str(reason).split())}'
