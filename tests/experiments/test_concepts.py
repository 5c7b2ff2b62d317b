import csv

import jax
import numpy as np
import pytest
from tools import read, start, stops_of_the_same, write_pictures

from vizlab import attribution, io, nets
from vizlab.data.scenes import SHAPE_NAMES, scenes
from vizlab.objectives import logit, score
from vizlab.runs import load_run


def test_channels_by_their_relevance_and_the_images_of_each(tmp_path):
  results = start('attribution/concepts', tmp_path / 'run', target='star')
  found = read(tmp_path / 'run', 'concepts')
  net, rules = nets.load('minivgg'), attribution.EPSILON_PLUS_FLAT
  image = io.read_image('sample:star_and_square', shorter=96, crop=96)
  asked = score(net, logit(13))
  units = attribution.layer_relevance(asked, image, 'relu2_1', rules)
  each = np.asarray(units.sum((0, 1)))
  np.testing.assert_allclose(found['relevance'], each, rtol=1e-3, atol=1e-5)
  first, second = found['channels']
  assert each[first] >= each[second] >= np.sort(each)[-3]
  mask = np.eye(64, dtype=np.float32)[second]
  np.testing.assert_allclose(
    found['maps'][1],
    attribution.lrp(asked, image, rules, {'relu2_1': mask}),
    rtol=1e-3,
    atol=1e-6,
  )
  np.testing.assert_allclose(results['relevance'], each.sum(), rtol=1e-3)
  share = (each[first] + each[second]) / np.abs(each).sum()
  np.testing.assert_allclose(results['share'], share, rtol=1e-3)
  assert results['target'] == 13
  # The images, by the relevance for the class that is seen in each.
  x = scenes(jax.random.key(0), 6, objects=2, size=96).image
  logits, acts = net(x)
  seen = score(net, logit(logits.argmax(-1)))
  there = attribution.layer_relevance(seen, x, 'relu2_1', rules)
  known = read(tmp_path / 'run', 'references')
  for ranking, values in (
    ('relevance', there),
    ('activation', acts['relu2_1']),
  ):
    peaks = np.asarray(values.max((1, 2)))[:, first]
    order = np.argsort(-peaks)[:2]
    assert known[f'{ranking}/images'][first].tolist() == order.tolist()
    np.testing.assert_allclose(
      known[f'{ranking}/values'][first], peaks[order], rtol=1e-3
    )
    # The classes of its images, the first one first.
    seen = [SHAPE_NAMES[k] for k in np.asarray(logits.argmax(-1))[order]]
    with load_run(tmp_path / 'run').tables['concepts'].open() as file:
      row = next(csv.DictReader(file))
    assert row[f'classes by {ranking}'] == ', '.join(dict.fromkeys(seen))


def test_the_predicted_class_of_a_photo_among_photos(tmp_path):
  write_pictures(tmp_path, ['a', 'b', 'c'])
  results = start(
    'attribution/concepts', tmp_path / 'run', photos=str(tmp_path / '*.png')
  )
  assert results['target'] == 13
  images = read(tmp_path / 'run', 'references')['relevance/images']
  assert images.shape == (64, 2) and images.max() <= 2


def test_a_stopped_run_ends_as_one_that_was_not(tmp_path, monkeypatch):
  stops = stops_of_the_same(
    'attribution/concepts', tmp_path, monkeypatch, every=4
  )
  assert stops > 0


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layer': 'fc'}, "config.layer: 'fc' gives no map"),
    ({'composite': 'zennit'}, "config.composite: got 'zennit', expected"),
    ({'concepts': 65}, 'config.concepts: got 65, expected at most the 64'),
    ({'target': 'sta'}, "config.target: got 'sta', .* mean 'star'"),
    ({'top': 7}, 'config.top: got 7, expected at most the number of pictures'),
    ({'batch': 0}, 'config.batch: got 0'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('attribution/concepts', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
