"""The directive ``package``: all that a package exports, by module.

``__all__`` is the source, so a new function appears by itself. Functions stand
in the order of their module, below what the module says of itself.
"""

import importlib
import inspect
import pkgutil
import re
import sys
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

_LOG = logging.getLogger(__name__)
_SECTIONS = {
  f'{name}:'
  for name in ('Args', 'Attributes', 'Returns', 'Yields', 'Raises', 'Reference')
}


class Package(SphinxDirective):
  """``.. package:: vizlab.style``."""

  required_arguments = 1

  def run(self) -> list[nodes.Node]:
    """Returns the nodes of the package's page."""
    text = '\n'.join(_page(self.arguments[0]))
    return self.parse_text_to_nodes(text, allow_section_headings=True)


def _page(name: str) -> list[str]:
  package = importlib.import_module(name)
  modules: dict[str, list[str]] = {}
  for member in package.__all__:
    home = _home(getattr(package, member), name)
    modules.setdefault(home, []).append(member)
  lines = [f'.. automodule:: {name}', '']
  rows = [
    member
    for home in sorted(modules)
    for member in sorted(modules[home], key=_line(package))
    if _is_ours(getattr(package, member))
  ]
  if rows:
    lines += ['.. autosummary::', '   :nosignatures:', '']
    lines += [f'   {member}' for member in rows] + ['']
  for home in sorted(modules):
    if home != name and len(modules) > 1:
      lines += _heading(home)
    for member in sorted(modules[home], key=_line(package)):
      lines += _entry(name, member, getattr(package, member))
  return lines


def _home(value: Any, package: str) -> str:
  """The module of the package that defines a value; else the package."""
  home = getattr(value, '__module__', None) or package
  return home if home.startswith(f'{package}.') else package


def _is_ours(value: Any) -> bool:
  """Tells a class or function of vizlab from a constant or an alias."""
  module = str(getattr(value, '__module__', ''))
  return callable(value) and module.startswith('vizlab')


def _line(package: Any) -> Any:
  def line(member: str) -> int:
    try:
      return inspect.getsourcelines(getattr(package, member))[1]
    except (TypeError, OSError):
      return 0  # a constant, before the functions

  return line


def _heading(module: str) -> list[str]:
  """A section with what the module says: its first line is the title."""
  first, _, rest = inspect.getdoc(sys.modules[module]).partition('\n')
  title = first.rstrip('.').split(': ')[0].replace('`', '')
  body = literal_blocks(rest.strip().splitlines())
  return [title, '-' * len(title), '', *body, '']


def literal_blocks(lines: list[str]) -> list[str]:
  """Marks indented paragraphs as literal; else they would be quotations.

  Those of a section, a list or a directive stay as they are.
  """
  marked, inside = [], False
  for i, line in enumerate(lines):
    if line in _SECTIONS:
      return marked + lines[i:]
    indented = line.startswith('  ')
    last = next((old for old in reversed(marked) if old), '')
    if indented and i and not lines[i - 1] and not inside:
      inside = not last.startswith(('* ', '- ', '  ', '..'))
      marked += ['::', ''] if inside else []
    inside = inside and (indented or not line)
    marked.append(line)
  return marked


def _mark(*event: Any) -> None:
  """Prepares a docstring for napoleon."""
  lines = event[-1]
  lines[:] = literal_blocks(lines)
  for section in ('Returns:', 'Yields:'):
    if section in lines:
      first = lines.index(section) + 1
      # No type comes before a colon here: an empty one keeps it in the text.
      lines[first] = f'  : {lines[first].strip()}'


def _entry(package: str, member: str, value: Any) -> list[str]:
  path = f'{package}.{member}'
  if _is_ours(value):
    if inspect.isclass(value):
      return [f'.. autoclass:: {path}', '   :members:', '']
    return [f'.. autofunction:: {path}', '']
  comment, shown = _source(package, member)
  lines = [f'.. py:data:: {member}', f'   :module: {package}']
  lines += [f'   :value: {shown}'] if shown else []
  return [*lines, '', *(f'   {line}' for line in comment), '']


def _source(package: str, member: str) -> tuple[list[str], str]:
  """The comment above the definition of a constant, and a value of one line."""
  pattern = re.compile(rf'((?:^# .*\n)*)^{member}\b[^=\n]*= (.*)', re.M)
  for name, module in list(sys.modules.items()):
    if name.startswith(package) and hasattr(module, member):
      if found := pattern.search(inspect.getsource(module)):
        value = '' if found[2].endswith(('(', '[', '{')) else found[2]
        return [line[2:] for line in found[1].splitlines()], value
  return [], ''


def _resolve(app: Any, env: Any, node: Any, content: nodes.Node) -> Any:
  """Links a name to the one object that ends with it, if there is one.

  A docstring of one package may name a function of another, or give the module
  that defines it instead of the package that exports it.
  """
  target = node.get('reftarget', '')
  if node.get('refdomain') != 'py' or not target:
    return None
  if target.startswith('vizlab.'):
    try:
      pkgutil.resolve_name(target)
    except (ImportError, AttributeError):
      _LOG.warning('unknown name %s', target, location=node)
  domain = env.domains['py']
  last = target.split('.')[-1]
  known = [
    name
    for name, entry in domain.objects.items()
    if name.split('.')[-1] == last and not entry.aliased
  ]
  package = '.'.join(target.split('.')[:2])
  if target.startswith('vizlab.'):
    known = [name for name in known if name.startswith(package)]
  if len(known) != 1:
    return None
  return domain.resolve_xref(
    env, node['refdoc'], app.builder, 'obj', known[0], node, content
  )


def _skip(app: Any, kind: str, name: str, value: Any, *_: Any) -> bool | None:
  """Leaves out classes inside of classes, and bare fields of a NamedTuple."""
  doc = str(getattr(value, '__doc__', ''))
  bare = doc.startswith('Alias for field number')
  return True if bare or inspect.isclass(value) else None


def _dashes(app: Any, doctree: nodes.document) -> None:
  """Sets the dashes of lists of arguments, with smart quotes off."""
  for text in list(doctree.findall(nodes.Text)):
    if text == ' -- ':
      text.parent.replace(text, nodes.Text(' – '))


def setup(app: Any) -> dict[str, bool]:
  """Registers the directive and the links."""
  app.add_directive('package', Package)
  app.connect('missing-reference', _resolve)
  app.connect('autodoc-skip-member', _skip)
  app.connect('doctree-read', _dashes)
  # Before napoleon, which reads the sections.
  app.connect('autodoc-process-docstring', _mark, priority=100)
  return {'parallel_read_safe': True, 'parallel_write_safe': True}
