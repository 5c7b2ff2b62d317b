"""The public surface: every name is documented, annotated and in __all__."""

import ast
import importlib
import inspect
import pkgutil
import re

import pytest

import vizlab

MODULES = [
  importlib.import_module(info.name)
  for info in pkgutil.walk_packages(vizlab.__path__, 'vizlab.')
]


def public(module):
  for name, value in vars(module).items():
    if name.startswith('_') or inspect.ismodule(value):
      continue
    if getattr(value, '__module__', None) == module.__name__:
      yield name, value


@pytest.mark.parametrize('module', MODULES, ids=lambda m: m.__name__)
def test_module(module):
  assert module.__doc__, 'a module says what room it is'
  for name in getattr(module, '__all__', ()):
    assert hasattr(module, name), f'{name} is in __all__ but not there'


@pytest.mark.parametrize('module', MODULES, ids=lambda m: m.__name__)
def test_public_names(module):
  for name, value in public(module):
    assert inspect.getdoc(value), f'{name} has no docstring'
    if inspect.isclass(value):
      for method, function in vars(value).items():
        if inspect.isfunction(function) and not method.startswith('_'):
          assert inspect.getdoc(function), f'{name}.{method}'
          check_annotated(f'{name}.{method}', function)
    elif callable(value):
      check_annotated(name, value)


def check_annotated(name, function):
  function = inspect.unwrap(function)
  if not inspect.isfunction(function):
    return
  signature = inspect.signature(function)
  for parameter in signature.parameters.values():
    if parameter.name != 'self':
      assert parameter.annotation is not parameter.empty, (name, parameter)
  assert signature.return_annotation is not signature.empty, name


@pytest.mark.parametrize('module', MODULES, ids=lambda m: m.__name__)
def test_all_is_the_public_surface(module):
  assert hasattr(module, '__all__')
  for name, _ in public(module):
    assert name in module.__all__, f'{name} is public but not in __all__'


@pytest.mark.parametrize(
  'package',
  [module for module in MODULES if hasattr(module, '__path__')],
  ids=lambda m: m.__name__,
)
def test_a_package_exports_what_its_modules_make_public(package):
  inside = [
    module
    for module in MODULES
    if module.__name__.startswith(package.__name__ + '.')
  ]
  known = {name for module in inside for name in module.__all__}
  assert package.__all__ and set(package.__all__) <= known


CLAUSES = r'(What|How|Whether|Of|Which|As|Where|That|Those|Who)\b'


@pytest.mark.parametrize('module', MODULES, ids=lambda m: m.__name__)
def test_docstrings_name_the_thing(module):
  tree = ast.parse(inspect.getsource(module))
  kinds = ast.Module, ast.ClassDef, ast.FunctionDef
  for node in ast.walk(tree):
    if isinstance(node, kinds) and (text := ast.get_docstring(node)):
      assert not re.match(CLAUSES, text), text.splitlines()[0]
