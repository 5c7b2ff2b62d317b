"""The report of a run: one HTML file that needs no other."""

import base64
import dataclasses
import io as streams
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
from PIL import Image

__all__ = ['Figure', 'Table', 'html']


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture ``[H, W, 3]`` uint8 with its caption; saved as ``name.png``."""

  name: str
  caption: str
  picture: np.ndarray


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of texts and numbers under a title each."""

  caption: str
  columns: Sequence[str]
  rows: Sequence[Sequence[Any]]


def html(
  title: str,
  summary: str,
  parts: Sequence[Figure | Table],
  *,
  command: str,
  settings: str,
) -> str:
  """Renders a report, the pictures inside.

  Args:
    title: Its title.
    summary: What is to be seen, in a few sentences.
    parts: Figures and tables, in order.
    command: The exact command that made it.
    settings: The config, as JSON.
  """
  folder = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
  environment = jinja2.Environment(
    loader=folder, autoescape=True, undefined=jinja2.StrictUndefined
  )
  environment.filters['cell'] = _cell
  environment.filters['png'] = _data_url
  return environment.get_template('report.html').render(
    title=title,
    summary=summary,
    parts=parts,
    command=command,
    settings=settings,
  )


def _cell(value: Any) -> str:
  return f'{value:.3f}' if isinstance(value, float) else str(value)


def _data_url(picture: np.ndarray) -> str:
  buffer = streams.BytesIO()
  Image.fromarray(picture).save(buffer, 'PNG', optimize=True)
  return 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode()
