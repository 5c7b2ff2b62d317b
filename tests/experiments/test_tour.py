import json
import re

import jax
import numpy as np
import pytest
from browser import browse, needs_browser
from tools import read, start

from vizlab import nets
from vizlab.data.scenes import SHAPE_NAMES, scenes


@pytest.fixture(scope='module')
def tour(tmp_path_factory):
  folder = tmp_path_factory.mktemp('tour') / 'run'
  results = start('probes/tour', folder, scenes=40, batch=16, components=5)
  return folder, results


def data_of(folder):
  text = (folder / 'site' / 'index.html').read_text()
  return json.loads(re.search(r'const DATA = (.*);\n', text)[1])


def test_layers_are_those_of_the_net(tour):
  folder, results = tour
  drawn = scenes(jax.random.key(0), 40, size=96)
  logits, acts = nets.load('minivgg')(drawn.image)
  features = read(folder, 'features')
  np.testing.assert_allclose(features['fc'], logits, rtol=1e-3, atol=1e-3)
  np.testing.assert_allclose(features['gap'], acts['gap'], rtol=1e-3, atol=1e-3)
  frames = read(folder, 'frames')
  assert frames['gap'].shape == (7, 5, 2) == frames['fc'].shape
  assert results['frames'] == 7
  labels = np.asarray(drawn.labels)[:, 0]
  assert results['classes'] == len(set(labels.tolist()))
  assert 0.5 < results['apart/fc'] <= 1


def test_the_page_holds_the_data(tour):
  folder, _ = tour
  data = data_of(folder)
  labels = np.asarray(scenes(jax.random.key(0), 40, size=96).labels)[:, 0]
  names = [data['names'][i] for i in data['labels']]
  assert names == [SHAPE_NAMES[k] for k in labels]
  assert len(data['colours']) == len(data['names'])
  for layer in data['layers']:
    points, frames = np.array(layer['points']), np.array(layer['frames'])
    assert points.shape == (40, 5) and frames.shape == (7, 5, 2)
    products = np.einsum('tdi,tdj->tij', frames, frames)
    np.testing.assert_allclose(products - np.eye(2), 0, atol=1e-5)
    # The pictures fill the disc.
    reach = np.linalg.norm(points @ frames, axis=-1)
    assert 0.9 < np.percentile(reach, 99) < 1.1


def test_few_classes_are_axes_by_name(tmp_path):
  start('probes/tour', tmp_path, layers='fc', scenes=20)
  (layer,) = data_of(tmp_path)['layers']
  assert layer['axes'] == list(SHAPE_NAMES)


@needs_browser
def test_the_page_plays_turns_and_hides(tour, tmp_path):
  told = browse(
    tour[0] / 'site' / 'index.html',
    """
    stop();
    const box = canvas.getBoundingClientRect();
    const ratio = canvas.width / box.width;
    const at = (type, [px, py]) => canvas.dispatchEvent(new PointerEvent(type, {
      clientX: box.left + px / ratio, clientY: box.top + py / ratio}));
    at('pointerdown', spot(frame[2]));
    told.held = held;
    at('pointermove', spot([.6, -.2]));
    const dot = (a, b) => frame.reduce((s, row) => s + row[a] * row[b], 0);
    told.frame = [dot(0, 0), dot(1, 1), dot(0, 1)];
    told.angle = Math.atan2(frame[2][1], frame[2][0]);
    told.wanted = Math.atan2(-.2, .6);
    dispatchEvent(new PointerEvent('pointerup'));
    legend.querySelector('button').click();
    told.hidden = [...hidden];
    pick.selectedIndex = 1;
    pick.dispatchEvent(new Event('change'));
    told.layer = layer.name;
    way = 1;
    set(layer.frames.length + 5);
    told.back = way;
    """,
    tmp_path,
  )
  assert told['held'] == 2 and told['hidden'] == [0]
  np.testing.assert_allclose(told['frame'], [1, 1, 0], atol=1e-9)
  assert abs(told['angle'] - told['wanted']) < 0.5
  assert told['layer'] == 'fc' and told['back'] == -1


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layers': 'relu9'}, "config.layers: got 'relu9'"),
    ({'layers': ()}, 'config.layers: got none'),
    ({'components': 1}, 'config.components: got 1'),
    ({'turns': 0}, 'config.turns: got 0'),
    ({'scenes': 2}, 'config.scenes: got 2 pictures, expected at least 3'),
    ({'photos': 'nowhere/*.png'}, 'config.photos: got'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/tour', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
