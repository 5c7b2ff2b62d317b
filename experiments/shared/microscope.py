"""Pages of the microscope: a static site of the units of a network.

All links are relative and nothing is fetched, so it works from a folder as well
as from any host.
"""

import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from vizlab import io, nets, render
from vizlab.runs.report import data_url, template

__all__ = ['Layer', 'Link', 'Unit', 'folder_of', 'write_index', 'write_unit']

_PAGES = pathlib.Path(__file__).with_name('microscope_pages')
_THUMBNAIL = 80
_SHOWN = 24  # units of a layer on the first page


class Layer(NamedTuple):
  """A layer of the site.

  Attributes:
    info: Name, shape and receptive field.
    numbers: Its units that have a page.
  """

  info: nets.LayerInfo
  numbers: tuple[int, ...]

  @property
  def page(self) -> dict[str, Any]:
    """Values that the templates show."""
    unit = 'channel' if len(self.info.shape) == 3 else 'unit'
    return {
      'name': self.info.name,
      'folder': folder_of(self.info.name),
      'channels': self.info.shape[-1],
      'unit': unit,
      'sees': self.info.field.size if self.info.field else 0,
      'shown': self.numbers[:_SHOWN],
    }


class Link(NamedTuple):
  """A unit of another layer, and the weights between: ``[h, w]``, signed."""

  number: int
  weights: np.ndarray
  strength: float
  name: str


class Unit(NamedTuple):
  """Data of a unit's page.

  Attributes:
    number: Its channel.
    name: Of a class, or empty.
    made: Pictures ``[H, W, 3]`` that excite it; the first one without
      diversity.
    top: Rows of pictures: the strongest patches, and their projections.
    rows: Title of each of them.
    values: Activations of the strongest.
    bottom: The weakest patches.
    weakest: Their activations.
    active: Share of its activations above zero.
    mean: Mean activation.
    shares: Shares of its activations in bins.
    edges: Edges of these bins; one more than there are.
    incoming: Strongest links to the layer below.
    outgoing: Strongest links to the layer above.
    classes: Name, fall by ablation and attribution of classes.
  """

  number: int
  name: str
  made: Sequence[np.ndarray]
  top: Sequence[Sequence[np.ndarray]]
  rows: Sequence[str]
  values: np.ndarray
  bottom: Sequence[np.ndarray]
  weakest: np.ndarray
  active: float
  mean: float
  shares: np.ndarray
  edges: np.ndarray
  incoming: Sequence[Link]
  outgoing: Sequence[Link]
  classes: Sequence[tuple[str, float, float]]


def folder_of(layer: str) -> str:
  """Name of a layer's folder."""
  return layer.replace('/', '-')


def write_unit(
  site: pathlib.Path,
  arch: str,
  layers: Sequence[Layer],
  at: int,
  unit: Unit,
  count: int,
  kind: str,
) -> None:
  """Writes the page and the pictures of a unit.

  Args:
    site: Folder of the site.
    arch: Name of the network.
    layers: All layers of the site, in order.
    at: Index of the unit's layer.
    unit: The unit.
    count: Number of images that were searched.
    kind: Their kind, ``'scenes'`` or ``'photos'``.
  """
  layer, numbers = layers[at], layers[at].numbers
  stem = site / folder_of(layer.info.name) / str(unit.number)
  _jpeg(f'{stem}.jpg', _fitted(unit.made[0], _THUMBNAIL))
  _jpeg(f'{stem}_images.jpg', render.grid([unit.made]))
  _jpeg(f'{stem}_top.jpg', render.grid(unit.top))
  _jpeg(f'{stem}_bottom.jpg', render.grid([unit.bottom]))
  i = numbers.index(unit.number)
  page = layer.page
  title = f'{page["unit"]} {unit.number}' + (
    f' ({unit.name})' * bool(unit.name)
  )
  _page(
    'unit',
    f'{stem}.html',
    root='../',
    arch=arch,
    layer=page,
    title=title,
    number=unit.number,
    before=numbers[i - 1] if i else None,
    after=numbers[i + 1] if i + 1 < len(numbers) else None,
    images=_made_in_words(len(unit.made)),
    count=count,
    kind=kind,
    rows=unit.rows,
    values=_range(unit.values),
    weakest=f'Activations {_range(unit.weakest)}, of what a ReLU reads if the '
    'layer is one.',
    bars=_bars(unit.shares, unit.edges),
    activity=_activity(unit),
    links=[*_links(layers, at - 1, unit), *_links(layers, at + 1, unit, True)],
    classes=[
      {'name': name, 'ablation': f'{a:+.3f}', 'attribution': f'{b:+.3f}'}
      for name, a, b in unit.classes
    ],
  )


def write_index(
  site: pathlib.Path,
  arch: str,
  summary: str,
  layers: Sequence[Layer],
  names: Sequence[dict[int, str]],
  classes: Sequence[dict[int, str]],
  dead: Sequence[int],
) -> pathlib.Path:
  """Writes the first page, the pages of the layers, and the search index.

  Args:
    site: Folder of the site.
    arch: Name of the network.
    summary: Text of the first page.
    layers: All layers, in order.
    names: Name of the units of each layer, where they have one.
    classes: Classes that a unit raises, as a text, for each layer.
    dead: Number of units of each layer that no image excites.

  Returns:
    Path of the first page.
  """
  units = []
  for i, (layer, named, raised) in enumerate(
    zip(layers, names, classes, strict=True)
  ):
    page = layer.page
    rows = []
    for k in layer.numbers:
      of = f'{page["unit"]} {k}' + (f': {raised[k]}' if raised.get(k) else '')
      rows.append({'number': k, 'title': of, 'name': named.get(k, '')})
      text = f'{layer.info.name} {k} {named.get(k, "")} {raised.get(k, "")}'
      units.append([f'{page["folder"]}/{k}', ' '.join(text.lower().split())])
    _page(
      'layer',
      site / page['folder'] / 'index.html',
      root='../',
      arch=arch,
      layer=page,
      units=rows,
      before=layers[i - 1].page if i else None,
      after=layers[i + 1].page if i + 1 < len(layers) else None,
      dead=f'{dead[i]} are dead.' if dead[i] else '',
    )
  io.write_text(site / 'units.js', f'const UNITS = {json.dumps(units)};\n')
  for name in ('microscope.css', 'microscope.js'):
    shutil.copyfile(_PAGES / name, site / name)
  pages = [layer.page for layer in layers]
  _page('index', site / 'index.html', root='', arch=arch, summary=summary,
        layers=pages)  # fmt: skip
  return site / 'index.html'


def _page(name: str, path: str | pathlib.Path, **values: Any) -> None:
  io.write_text(path, template(_PAGES / f'{name}.html', {}).render(**values))


def _jpeg(path: str, picture: np.ndarray) -> None:
  image = Image.fromarray(np.asarray(picture))
  io.write_atomic(path, lambda file: image.save(file, 'JPEG', quality=85))


def _fitted(picture: np.ndarray, side: int) -> np.ndarray:
  """A picture of ``side`` pixels; small ones are enlarged smoothly."""
  image = Image.fromarray(np.asarray(picture))
  return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def _made_in_words(count: int) -> str:
  text = 'The first is optimized by itself'
  if count > 1:
    text += '; the others at once, so that they differ from each other'
  return f'{text}.'


def _range(values: np.ndarray) -> str:
  return f'{values[0]:.3g} to {values[-1]:.3g}'


def _bars(shares: np.ndarray, edges: np.ndarray) -> list[dict[str, Any]]:
  top = max(float(shares.max()), 1e-12)
  return [
    {
      'height': round(80 * float(share) / top, 1),
      'title': f'{low:.3g} to {high:.3g}: {share:.2%}',
    }
    for share, low, high in zip(shares, edges[:-1], edges[1:], strict=True)
  ]


def _activity(unit: Unit) -> str:
  if not unit.active:
    return 'No place of any image activates it.'
  return (
    f'{unit.active:.1%} of the places are above zero, the mean is '
    f'{unit.mean:.3g}. The bars are their distribution from '
    f'{unit.edges[0]:.3g} to {unit.edges[-1]:.3g}, on a logarithmic scale.'
  )


def _links(
  layers: Sequence[Layer], at: int, unit: Unit, up: bool = False
) -> list[dict[str, Any]]:
  links = unit.outgoing if up else unit.incoming
  if not links:
    return []
  page = layers[at].page
  how = 'excite and inhibit it most'
  if up:
    how = 'it excites and inhibits most'
  return [
    {
      'title': f'{page["unit"].capitalize()}s of {page["name"]} that {how}',
      'folder': page['folder'],
      'units': [
        {
          'number': link.number,
          'name': link.name,
          'strength': f'{link.strength:+.3g}',
          'weights': _small_png(link.weights),
        }
        for link in links
      ],
    }
  ]


def _small_png(weights: np.ndarray) -> str:
  return data_url(Image.fromarray(np.asarray(render.signed(weights))), 'png')
