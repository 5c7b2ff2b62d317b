"""Report of a run: a self-contained HTML file."""

import base64
import csv
import dataclasses
import io as streams
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from PIL import Image

__all__ = ['PAGE', 'Figure', 'Table', 'data_url', 'html', 'template']

# Width in pixels of pictures that a page shows well.
PAGE = 1600


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture ``[H, W, 3]`` uint8 with its caption; saved as ``name.png``."""

  name: str
  caption: str
  picture: np.ndarray


@dataclasses.dataclass(frozen=True)
class Table:
  """Table of texts and numbers with column titles; saved as ``name.csv``."""

  name: str
  caption: str
  columns: Sequence[str]
  rows: Sequence[Sequence[Any]]

  def csv(self) -> str:
    """Comma-separated values, with the titles first and all digits."""
    text = streams.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerows([self.columns, *self.rows])
    return text.getvalue()


def html(
  title: str,
  summary: str,
  parts: Sequence[Figure | Table],
  *,
  command: str,
  settings: str,
) -> str:
  """Renders a report with embedded pictures.

  Args:
    title: Title of the report.
    summary: Description of the experiment, in a few sentences.
    parts: Figures and tables, in order.
    command: Command line of the run.
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
  """Loads a template from a file; undefined variables are errors."""
  folder = jinja2.FileSystemLoader(path.parent)
  environment = jinja2.Environment(
    loader=folder, autoescape=True, undefined=jinja2.StrictUndefined
  )
  environment.filters.update(filters)
  return environment.get_template(path.name)


def data_url(picture: Image.Image, kind: str, **settings: Any) -> str:
  """Encodes a picture as a data URL, as ``png`` or ``jpeg``."""
  buffer = streams.BytesIO()
  picture.save(buffer, kind, **settings)
  data = base64.b64encode(buffer.getvalue()).decode()
  return f'data:image/{kind};base64,{data}'


def _cell(value: Any) -> str:
  return f'{value:.3f}' if isinstance(value, float) else str(value)


def _png(picture: np.ndarray) -> str:
  return data_url(Image.fromarray(picture), 'png')
