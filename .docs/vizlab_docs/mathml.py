"""Equations as MathML: no script is loaded, and none can fail to load.

LaTeX that docutils cannot convert is a warning, so an error of the build.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

_LOG = logging.getLogger(__name__)


def _write(writer: Any, node: nodes.Node, block: bool) -> None:
  try:
    equation = tex2mathml(node.astext(), as_block=block)
  except MathError as error:
    _LOG.warning('equation: %s', error, location=node)
    equation = writer.encode(node.astext())
  if block:
    equation = f'<div class="math">{equation}</div>'
  writer.body.append(equation)
  raise nodes.SkipNode


def _inline(writer: Any, node: nodes.Node) -> None:
  _write(writer, node, False)


def _block(writer: Any, node: nodes.Node) -> None:
  _write(writer, node, True)


def setup(app: Any) -> dict[str, bool]:
  """Registers the renderer of equations."""
  app.add_html_math_renderer('mathml', (_inline, None), (_block, None))
  app.config.html_math_renderer = 'mathml'
  return {'parallel_read_safe': True, 'parallel_write_safe': True}
