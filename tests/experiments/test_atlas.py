import jax
import numpy as np
import pytest
from browser import browse, needs_browser
from PIL import Image
from tools import read, start

from vizlab import nets
from vizlab.data.scenes import scenes


@pytest.fixture(scope='module')
def atlas(tmp_path_factory):
  folder = tmp_path_factory.mktemp('atlas') / 'run'
  results = start('probes/atlas', folder, scenes=40, batch=8, grid=3)
  return folder, results


def test_activations_are_of_a_place_in_each_image(atlas):
  folder, _ = atlas
  seen = read(folder, 'activations')
  net = nets.load('minivgg')
  drawn = scenes(jax.random.key(0), 40, objects=2, size=96).image
  logits, acts = net(drawn)
  np.testing.assert_array_equal(seen['targets'], logits.argmax(-1))
  places = set()
  for i, own in enumerate(seen['acts']):
    away = np.abs(np.asarray(acts['relu3_2'][i]) - own).max(-1)
    assert away.min() < 1e-3
    places.add(int(away.argmin()))
  assert len(places) > 25


def test_cells_are_means_and_speak_for_the_largest_contribution(atlas):
  folder, results = atlas
  seen, cells = read(folder, 'activations'), read(folder, 'cells')
  places = read(folder, 'map')['places']
  assert places.min() >= 0 and places.max() <= 1
  at = np.minimum((places * 3).astype(int), 2)
  assert results['images'] == cells['counts'].sum() == 40
  for i, (row, column) in enumerate(cells['places']):
    own = (at == [column, row]).all(1)
    assert own.sum() == cells['counts'][i]
    np.testing.assert_allclose(
      cells['vectors'][i], seen['acts'][own].mean(0), rtol=1e-4, atol=1e-5
    )
    total = seen['contributions'][own].sum(0)
    assert total.shape == (16,) and cells['classes'][i] == total.argmax()
    share = (seen['targets'][own] == total.argmax()).mean()
    np.testing.assert_allclose(cells['shares'][i], share)


def test_the_batch_does_not_matter(atlas, tmp_path):
  start('probes/atlas', tmp_path, scenes=40, batch=7, grid=3)
  np.testing.assert_allclose(
    read(tmp_path, 'activations')['acts'],
    read(atlas[0], 'activations')['acts'],
    rtol=1e-3,
    atol=1e-4,
  )


def test_the_page_holds_all_cells(atlas):
  folder, results = atlas
  page = (folder / 'site' / 'index.html').read_text()
  assert page.count('images, ') >= results['cells']
  with Image.open(folder / 'site' / 'atlas.jpg') as sheet:
    assert sheet.size == (96, 96)


@needs_browser
def test_the_page_zooms_and_tells_the_class(atlas, tmp_path):
  told = browse(
    atlas[0] / 'site' / 'index.html',
    """
    told.fits = scale * 96 <= Math.min(map.clientWidth, map.clientHeight) + 1;
    const before = scale;
    document.dispatchEvent(new KeyboardEvent('keydown', {key: '-'}));
    told.zoomed = scale / before;
    document.dispatchEvent(new KeyboardEvent('keydown', {key: '0'}));
    told.back = scale === before;
    const box = map.getBoundingClientRect();
    const [cell] = Object.keys(CELLS);
    const [row, column] = cell.split(',').map(Number);
    map.dispatchEvent(new PointerEvent('pointermove', {
      clientX: box.left + x + (column + .5) * SIDE * scale,
      clientY: box.top + y + (row + .5) * SIDE * scale}));
    told.right = document.getElementById('told').textContent === CELLS[cell];
    """,
    tmp_path,
  )
  assert told == {'fits': True, 'zoomed': 0.8, 'back': True, 'right': True}


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layer': 'fc'}, "config.layer: 'fc' gives no map"),
    ({'method': 'mds'}, "config.method: got 'mds'"),
    ({'method': 'tsne', 'perplexity': 12.0}, 'config.perplexity: got 12.0'),
    ({'least': 13}, 'config.least: got 13, expected at most the 12'),
    ({'scenes': 1}, 'expected at least 2 of each'),
    ({'grid': 0}, 'config.grid: got 0'),
    ({'labels': 'none.json'}, 'config.labels: none.json'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/atlas', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


def test_too_few_images_for_any_cell_is_one_line(tmp_path):
  with pytest.raises(ValueError, match='config.least: got 12, but no cell'):
    start('probes/atlas', tmp_path / 'run', least=12)
