"""Description of a config: its docstring, and its settings with comments."""

import ast
import io
import pathlib
import tokenize
from collections.abc import Collection, Iterable
from typing import Any

from ml_collections import ConfigDict

from vizlab.runs.settings import as_flag

__all__ = ['comments', 'described']


def described(config: ConfigDict, paths: Iterable[pathlib.Path]) -> str:
  """The docstring of a config's file, and its settings as flags.

  Each setting has its value and the comment beside or above the line that sets
  it, in the order of the lines, as a comment may go on from the one before.

  Args:
    config: The config.
    paths: Its file, and others with functions that add settings.
  """
  first, *others = (path.read_text() for path in paths)
  known = comments(first)
  # Of a shared file, what the functions add that the config calls.
  called = {
    node.attr
    for node in ast.walk(ast.parse(first))
    if isinstance(node, ast.Attribute)
  }
  for source in others:
    known = comments(source, called) | known
  lines = [ast.get_docstring(ast.parse(first)) or '', '', 'Settings:', '']
  places = _places(first, others)
  last = (len(first), 0)
  settings = sorted(
    _settings(config), key=lambda row: places.get(row[0].split('.')[0], last)
  )
  for name, value in settings:
    told = known.get(name) or known.get(name.rpartition('.')[2])
    shown = '' if value is None else as_flag(value)
    lines.append(f'  --config.{name}={shown}')
    if told:
      lines.append(f'      {told}')
  return '\n'.join(lines).strip()


def comments(
  source: str, functions: Collection[str] | None = None
) -> dict[str, str]:
  """Comments of settings, by the name after ``config.``.

  Args:
    source: Python code with lines such as ``config.steps = 8  # at each size``.
    functions: Names of the functions that are looked at; all code by default.

  >>> comments('config.top = 9  # patches of a unit')
  {'top': 'patches of a unit'}
  """
  beside, above = {}, {}
  for token in tokenize.generate_tokens(io.StringIO(source).readline):
    if token.type == tokenize.COMMENT:
      own = not token.line[: token.start[1]].strip()
      (above if own else beside)[token.start[0]] = token.string.lstrip('# ')
  tree = ast.parse(source)
  parts = (
    [tree]
    if functions is None
    else [
      node
      for node in tree.body
      if isinstance(node, ast.FunctionDef) and node.name in functions
    ]
  )
  found: dict[str, str] = {}
  for node in (node for part in parts for node in ast.walk(part)):
    if not isinstance(node, ast.Assign):
      continue
    name = ast.unparse(node.targets[0])
    if not name.startswith('config.'):
      continue
    text = beside.get(node.end_lineno)
    if text is None:
      lines, at = [], node.lineno - 1
      while at in above:
        lines.append(above[at])
        at -= 1
      text = ' '.join(reversed(lines))
    if text:
      found.setdefault(name.removeprefix('config.'), text)
  return found


def _places(first: str, others: Iterable[str]) -> dict[str, tuple[int, int]]:
  """Lines at which settings are first set, by name.

  Those that a function of another source adds to ``config`` are at the line of
  its call, in the order of its own lines.
  """
  added: dict[str, dict[str, int]] = {}
  for source in others:
    for node in ast.parse(source).body:
      if isinstance(node, ast.FunctionDef):
        added[node.name] = dict(_assigned(node))
  tree = ast.parse(first)
  rows = [(name, (line, 0)) for name, line in _assigned(tree)]
  for node in ast.walk(tree):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
      given = [ast.unparse(argument) for argument in node.args]
      if 'config' in given:
        for name, line in added.get(node.func.attr, {}).items():
          rows.append((name, (node.lineno, line)))
  return dict(sorted(rows, key=lambda row: row[1], reverse=True))


def _assigned(tree: ast.AST) -> Iterable[tuple[str, int]]:
  """Names after ``config.`` that are assigned to, and their lines."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Assign):
      # Several may be set at once.
      first = node.targets[0]
      parts = first.elts if isinstance(first, ast.Tuple) else [first]
      for part in parts:
        name = ast.unparse(part)
        if name.startswith('config.'):
          yield name.split('.')[1], node.lineno


def _settings(config: ConfigDict, prefix: str = '') -> Iterable[Any]:
  """Names and values of all settings but the experiment."""
  for name in config:
    value = config[name]
    if isinstance(value, ConfigDict):
      yield from _settings(value, f'{prefix}{name}.')
    elif prefix or name != 'experiment':
      yield f'{prefix}{name}', value
