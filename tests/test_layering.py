"""An import may only point down."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent

# What each package may import of ours. Beside the methods stand nets, data,
# render and io: no method imports them.
_LOW = {
  'extrema',
  'lookup',
  'rules',
  'templates',
  'terms',
  'trees',
  'types',
}
_MIDDLE = {
  *_LOW,
  'batching',
  'image',
  'penalties',
  'objectives',
  'optimize',
}
ALLOWED = {
  'lookup': set(),
  'batching': {'types'},
  'types': set(),
  'extrema': {'types'},
  'templates': {'types'},
  'terms': {'types'},
  'rules': {'types', 'extrema', 'rules'},
  'io': {'lookup', 'types', 'io'},
  'render': {'types'},
  'trees': {'types'},
  'nets': {*_LOW, 'image', 'io', 'nets'},
  'data': {*_LOW, 'batching', 'io', 'data'},
  'image': {'types', 'extrema', 'image'},
  'penalties': {*_LOW, 'image'},
  'objectives': {*_LOW, 'image', 'objectives'},
  'optimize': _MIDDLE,
  'attribution': {*_MIDDLE, 'attribution'},
  'synthesis': {*_MIDDLE, 'synthesis'},
  'style': {*_MIDDLE, 'synthesis', 'style'},
  'adversarial': {*_MIDDLE, 'adversarial'},
  'probes': {*_MIDDLE, 'probes'},
  'generate': {*_MIDDLE, 'generate'},
  'evaluate': {*_MIDDLE, 'evaluate'},
}
# What runs experiments may use all that experiments use.
ALLOWED['runs'] = {*ALLOWED, 'runs'}
ALLOWED['sweeps'] = {*ALLOWED, 'sweeps'}
ALLOWED['commands'] = {*ALLOWED, 'commands'}
FILES = sorted((ROOT / 'vizlab').rglob('*.py'))


def imports(path):
  """Every module that a file imports, ``from a import b`` as ``a.b``."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: relative import'
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def room(path):
  return path.relative_to(ROOT / 'vizlab').parts[0].removesuffix('.py')


@pytest.mark.parametrize('path', FILES, ids=str)
def test_imports_point_down(path):
  if path == ROOT / 'vizlab' / '__init__.py':
    return
  for name in imports(path):
    if name.startswith('vizlab.'):
      assert name.split('.')[1] in ALLOWED[room(path)], f'{path}: {name}'
    assert not name.startswith(('vizlab_experiments', 'scripts')), name
    if name.split('.')[0] == 'flax':
      assert room(path) == 'nets', f'{path} imports flax'


@pytest.mark.parametrize('path', FILES, ids=str)
def test_methods_neither_print_nor_read_files_nor_use_global_randomness(path):
  if room(path) in ('io', 'runs', 'sweeps', 'commands', '__init__'):
    return
  tree = ast.parse(path.read_text())
  names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
  names |= {ast.unparse(n) for n in ast.walk(tree) if type(n) is ast.Attribute}
  forbidden = {'print', 'open', 'np.random', 'tqdm', 'logging', 'absl'}
  assert not names & forbidden, f'{path}: {names & forbidden}'


def test_configs_import_only_ml_collections():
  for path in (ROOT / 'configs').rglob('[!_]*.py'):
    others = {*imports(path)} - {'vizlab_experiments.configs.blocks'}
    assert {name.split('.')[0] for name in others} == {'ml_collections'}


def test_every_file_is_a_room():
  for path in FILES:
    assert room(path) in ALLOWED or path.name == '__init__.py', path


def test_rooms_are_short():
  for folder in ('vizlab', 'experiments', 'configs', 'scripts'):
    for path in (ROOT / folder).rglob('*.py'):
      assert len(path.read_text().splitlines()) <= 400, f'{path} is too long'
