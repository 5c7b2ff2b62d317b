"""The report of a run: one HTML file that needs no other."""

import base64
import dataclasses
import io as streams
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from PIL import Image

__all__ = ['PAGE', 'Figure', 'Table', 'data_url', 'html', 'template']

# Pixels of a picture's width that a page still shows well.
PAGE = 1600


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
  filters = {'cell': _cell, 'png': _png}
  return template(pathlib.Path(__file__).with_suffix('.html'), filters).render(
    title=title,
    summary=summary,
    parts=parts,
    command=command,
    settings=settings,
  )


def template(
  path: pathlib.Path, filters: Mapping[str, Callable[[Any], str]]
) -> jinja2.Template:
  """A template in a file; what it lacks is an error."""
  folder = jinja2.FileSystemLoader(path.parent)
  environment = jinja2.Environment(
    loader=folder, autoescape=True, undefined=jinja2.StrictUndefined
  )
  environment.filters.update(filters)
  return environment.get_template(path.name)


def data_url(picture: Image.Image, kind: str, **settings: Any) -> str:
  """A picture inside of a page, as ``png`` or ``jpeg``."""
  buffer = streams.BytesIO()
  picture.save(buffer, kind, **settings)
  data = base64.b64encode(buffer.getvalue()).decode()
  return f'data:image/{kind};base64,{data}'


def _cell(value: Any) -> str:
  return f'{value:.3f}' if isinstance(value, float) else str(value)


def _png(picture: np.ndarray) -> str:
  return data_url(Image.fromarray(picture), 'png', optimize=True)
