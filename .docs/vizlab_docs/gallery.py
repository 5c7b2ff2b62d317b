"""The directive ``gallery``: a card for each config, from its docstring.

A card has the first line, the picture ``gallery/FAMILY_NAME.jpg`` if there is
one, and under a fold the commands, the runtime and the expected result.
"""

import ast
import pathlib
import re
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
PICTURES = ROOT / '.docs' / 'gallery'


class Gallery(SphinxDirective):
  """``.. gallery::``."""

  def run(self) -> list[nodes.Node]:
    """Returns the nodes of all cards, in sections by family."""
    lines = []
    for path in sorted(CONFIGS.glob('*/*.py')):
      self.env.note_dependency(str(path))
      lines += _family(path) if path.stem == '__init__' else _card(path)
    text = '\n'.join(lines)
    return self.parse_text_to_nodes(text, allow_section_headings=True)


def _docstring(path: pathlib.Path) -> str:
  return ast.get_docstring(ast.parse(path.read_text())) or ''


def _family(path: pathlib.Path) -> list[str]:
  name = path.parent.name
  title = name[0].upper() + name[1:]
  return [title, '-' * len(title), '', '.. grid:: 1 1 2 2', '   :gutter: 3', '']


def _card(path: pathlib.Path) -> list[str]:
  name = f'{path.parent.name}/{path.stem}'
  first, _, rest = _docstring(path).partition('\n')
  lines = [f'.. grid-item-card:: {name}']
  picture = PICTURES / f'{name.replace("/", "_")}.jpg'
  if picture.exists():
    lines += [f'   :img-top: gallery/{picture.name}']
    lines += [f'   :img-alt: {first.rstrip(".")}']
  body = ['', first, '', '.. dropdown:: Commands and result', '']
  body += _indented(_paragraphs(rest), 3)
  return _indented([*lines, *_indented(body, 3), ''], 3)


def _paragraphs(text: str) -> list[str]:
  """A docstring as reStructuredText: commands and tables stay as they are."""
  lines, literal = [], False
  for line in text.strip().splitlines():
    if line.startswith('  ') and not literal:
      lines += ['', '::', '']
    literal = line.startswith('  ') or (literal and not line)
    lines += [line if literal else _heading(line)]
  return lines


def _heading(line: str) -> str:
  return re.sub(r'^(Commands?|Runtime|Expected):', r'**\1.**', line)


def _indented(lines: list[str], by: int) -> list[str]:
  return [' ' * by + line if line else '' for line in lines]


def setup(app: Any) -> dict[str, bool]:
  """Registers the directive."""
  app.add_directive('gallery', Gallery)
  return {'parallel_read_safe': True, 'parallel_write_safe': True}
