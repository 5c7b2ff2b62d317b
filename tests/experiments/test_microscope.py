"""The microscope: its data, its pages, and its pages in a real browser."""

import html.parser
import json
import os
import pathlib
import re

import jax
import numpy as np
import pytest
from browser import browse, needs_browser, opened
from PIL import Image
from tools import start

from vizlab import nets, probes
from vizlab.data.scenes import SHAPE_NAMES, scenes
from vizlab.runs import stopping
from vizlab_experiments.shared import unit_maker

LAYERS = ('relu2_1', 'relu3_1', 'fc')


@pytest.fixture(scope='module')
def site(tmp_path_factory):
  """A site of eleven units in three layers."""
  folder = tmp_path_factory.mktemp('microscope') / 'run'
  start('probes/microscope', folder, channels='0,5,7', links=2, classes=4)
  return folder / 'site'


class Links(html.parser.HTMLParser):
  """Links of a page, and its text."""

  def __init__(self, path):
    super().__init__()
    self.found, self.text, self.titles = [], '', []
    self.feed(path.read_text())

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.found += [attrs[k] for k in ('href', 'src') if attrs.get(k)]
    if 'title' in attrs:
      self.titles.append(attrs['title'])

  def handle_data(self, data):
    self.text += data


def pages(site):
  return sorted(site.rglob('*.html'))


def test_every_unit_and_layer_has_a_page(site):
  names = [path.relative_to(site).as_posix() for path in pages(site)]
  wanted = ['index.html']
  for layer in LAYERS:
    wanted += [f'{layer}/{k}.html' for k in ('0', '5', '7', 'index')]
  assert names == sorted(wanted)


def test_all_links_lead_somewhere_and_nothing_is_fetched(site):
  seen = set()
  for page in pages(site):
    for target in Links(page).found:
      if target.startswith('data:'):
        continue
      assert not re.match(r'[a-z]+:|/', target), target
      path = pathlib.Path(os.path.normpath(page.parent / target))
      assert path.is_file(), (page, target)
      seen.add(path)
  assert set(pages(site)) <= seen
  assert {path for path in site.rglob('*.jpg')} <= seen


def test_a_unit_page_is_small(site):
  for page in site.glob('*/[0-9].html'):
    files = [page, *page.parent.glob(f'{page.stem}*.jpg')]
    assert sum(path.stat().st_size for path in files) < 200_000


def test_pictures_are_of_the_units(site):
  with Image.open(site / 'relu2_1' / '5_images.jpg') as image:
    assert image.size == (2 * 32 + 3 * 4, 32 + 2 * 4)
  with Image.open(site / 'relu2_1' / '5_top.jpg') as image:
    assert image.size == (2 * 72 + 3 * 4, 3 * 72 + 4 * 4)
  with Image.open(site / 'relu2_1' / '5.jpg') as image:
    assert image.size == (80, 80)


def test_the_strongest_patch_is_the_crop_of_a_scene(site):
  drawn = scenes(jax.random.key(0), 6, objects=2, size=96).image
  net = nets.load('minivgg')
  a = np.asarray(net(drawn)[1]['relu3_1'])[..., 7]
  i, y, x = np.unravel_index(a.argmax(), a.shape)
  field = next(r for r in nets.layer_info(net) if r.name == 'relu3_1').field
  (top, _), (left, _) = field.pixels(int(y)), field.pixels(int(x))
  inside = [max(0, -start) for start in (top, left)]
  with Image.open(site / 'relu3_1' / '7_top.jpg') as image:
    patch = np.asarray(image)[4 : 4 + 72, 4 : 4 + 72].astype(float)
  scale = 72 / field.size
  crop = np.asarray(drawn[i]) * 255
  checked = 0
  for row in range(inside[0], field.size, 4):
    for column in range(inside[1], field.size, 4):
      if max(top + row, left + column) < 96:
        got = patch[int((row + 0.5) * scale), int((column + 0.5) * scale)]
        assert np.abs(got - crop[top + row, left + column]).max() < 40
        checked += 1
  assert checked > 5
  text = Links(site / 'relu3_1' / '7.html').text
  assert f'Activations {a.max():.3g} to' in text


def test_neighbours_are_linked_by_the_largest_weights(site):
  net = nets.load('minivgg')
  weights = probes.expanded_weights(
    net, 'relu3_1', np.arange(96), lower='relu2_1', shape=(96, 96)
  )
  units = np.array([0, 5, 7])
  total = np.asarray(weights.sum((1, 2)))[5][units]
  page = (site / 'relu3_1' / '5.html').read_text()
  part = page.split('that excite and inhibit it most')[1].split('</section>')[0]
  linked = re.findall(r'\.\./relu2_1/(\d)\.html', part)
  wanted = [units[total.argmax()], units[total.argmin()]]
  assert linked == [str(k) for k in wanted]
  assert f'{total.max():+.3g}' in part
  assert 'that it excites and inhibits most' in page
  assert (
    'excited and inhibited by' not in (site / 'relu2_1' / '0.html').read_text()
  )
  assert 'that it excites' not in (site / 'fc' / '0.html').read_text()


def test_vectors_are_linked_to_vectors(tmp_path):
  start('probes/microscope', tmp_path, layers='gap,fc', links=2)
  weights = nets.get_params(nets.load('minivgg'))['fc']['kernel']
  page = (tmp_path / 'site' / 'fc' / '5.html').read_text()
  linked = re.findall(r'<a href="\.\./gap/(\d+)\.html"', page)
  units = np.array([0, 5])  # those with a page
  order = units[np.argsort(-np.asarray(weights)[units, 5])]
  assert linked == [str(k) for k in order]


def test_classes_are_those_of_the_ablation(site):
  net = nets.load('minivgg')
  drawn = scenes(jax.random.key(0), 6, objects=2, size=96).image
  a = net(drawn)[1]['relu3_1']
  best = np.argsort(-np.asarray(a.max((1, 2)))[:, 0], kind='stable')[:2]
  falls = probes.effects(net, 'relu3_1', 0, drawn[best]).ablation.mean(0)
  order = np.argsort(-falls)
  text = Links(site / 'relu3_1' / '0.html').text
  rows = re.findall(r'([a-z ]+)([+-]\d\.\d{3})([+-]\d\.\d{3})', text)
  wanted = [*order[:2], *order[-2:]]
  assert [row[0].strip() for row in rows] == [SHAPE_NAMES[k] for k in wanted]
  got = [float(row[1]) for row in rows]
  np.testing.assert_allclose(got, falls[np.array(wanted)], atol=2e-3)


def test_the_search_index_has_every_unit(site):
  text = (site / 'units.js').read_text()
  units = dict(json.loads(text[len('const UNITS = ') : -2]))
  assert set(units) == {f'{layer}/{k}' for layer in LAYERS for k in (0, 5, 7)}
  assert units['fc/5'].startswith(f'fc 5 {SHAPE_NAMES[5]}')
  raised = units['relu3_1/5'].removeprefix('relu3_1 5 ').split(', ')
  assert len(raised) == 3 and set(raised) <= set(SHAPE_NAMES)


def test_layers_come_from_low_to_high(site):
  page = Links(site / 'index.html')
  shown = [name for name in page.found if name.endswith('/index.html')]
  assert shown == [f'{layer}/index.html' for layer in LAYERS]
  text = Links(site / 'relu3_1' / 'index.html').text
  assert '← relu2_1' in text and 'fc →' in text


def test_a_killed_run_goes_on_after_its_last_units(tmp_path, monkeypatch):
  monkeypatch.setattr(unit_maker, 'AT_ONCE', 1)
  monkeypatch.setattr('vizlab_experiments.probes.microscope.AT_ONCE', 1)
  settings = {'layers': 'relu2_1', 'channels': '1,2,3'}
  start('probes/microscope', tmp_path / 'whole', **settings)
  write, made = unit_maker.write_unit, []

  def killing(site, arch, layers, at, unit, *args):
    if unit.number == 2 and len(made) == 1:
      made.append('killed')
      raise stopping.Stopped(15)
    made.append(unit.number)
    write(site, arch, layers, at, unit, *args)

  monkeypatch.setattr(unit_maker, 'write_unit', killing)
  with pytest.raises(stopping.Stopped):
    start('probes/microscope', tmp_path / 'killed', **settings)
  start('probes/microscope', tmp_path / 'killed', **settings)
  assert made == [1, 'killed', 2, 3]
  whole, killed = (
    {
      path.relative_to(tmp_path / name): path.read_bytes()
      for path in (tmp_path / name / 'site').rglob('*.*')
    }
    for name in ('whole', 'killed')
  )
  assert {p.relative_to('site'): 0 for p in whole} == {
    p.relative_to('site'): 0 for p in killed
  }
  assert list(whole.values()) == [killed[p] for p in whole]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layers': 'relu9'}, "config.layers: got 'relu9'"),
    ({'channels': '64'}, 'config.channels: got 64, expected 0 to 63'),
    (
      {'top': 7},
      'config.top: got 7, expected at most the number of pictures, 6',
    ),
    ({'steps': 0}, 'config.steps: got 0'),
    ({'links': -1}, 'config.links: got -1'),
    ({'size': 4}, 'config.size: .*too small'),
    ({'photos': 'nowhere/*.png'}, 'config.photos: got'),
    ({'classes': 17}, 'config.classes: got 17'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/microscope', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


@needs_browser
def test_units_are_searched(site, tmp_path):
  told = browse(
    site / 'relu3_1' / '5.html',
    """
    const type = (text) => {
      box.value = text;
      box.dispatchEvent(new Event('input'));
      return [...list.querySelectorAll('a')].map((a) => a.getAttribute('href'));
    };
    told.layer = type('FC');
    told.both = type('relu2_1 7');
    told.none = type('no such unit');
    told.hidden = list.hidden;
    told.loaded = [...document.images].every((i) => i.naturalWidth > 0);
    """,
    tmp_path,
  )
  assert told['layer'] == [f'../fc/{k}.html' for k in (0, 5, 7)]
  assert told['both'] == ['../relu2_1/7.html']
  assert told['none'] == [] and told['hidden'] and told['loaded']


@needs_browser
@pytest.mark.parametrize(
  ('key', 'title'),
  [
    ('ArrowLeft', 'channel 0 of relu3_1'),
    ('ArrowRight', 'channel 7 of relu3_1'),
    ('ArrowUp', 'relu3_1'),
  ],
)
def test_arrow_keys_lead_to_the_neighbours(site, tmp_path, key, title):
  shown = opened(
    site / 'relu3_1' / '5.html',
    f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}));",
    tmp_path,
  )
  assert f'<title>{title} of minivgg</title>' in shown


@needs_browser
@pytest.mark.parametrize('width', [400, 1600])
@pytest.mark.parametrize('page', ['index.html', 'fc/index.html', 'fc/5.html'])
def test_pages_are_as_wide_as_the_window(site, tmp_path, page, width):
  told = browse(
    site / page,
    'told.wide = document.documentElement.scrollWidth; told.at = innerWidth;',
    tmp_path,
    width,
  )
  assert told['wide'] <= max(told['at'], width)
