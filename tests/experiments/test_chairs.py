import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import read, start, stops_of_the_same

from vizlab import data, nets
from vizlab.runs.reader import read_metrics
from vizlab_experiments.shared import chair_descriptions as chairs

NAME = 'generate/chairs'


def test_descriptions_hold_the_style_the_view_and_the_changes():
  one = chairs.Described(
    np.array([3]),
    np.float32([0.5]),
    np.float32([0.2]),
    np.full((1, 8), 0.25, np.float32),
  )
  x = np.asarray(chairs.described(one, 5))[0, 0, 0]
  assert x.shape == (sum(chairs.parts(5).values()),)
  np.testing.assert_array_equal(x[:5], [0, 0, 0, 1, 0])
  want = [np.sin(0.5), np.sin(0.2), np.cos(0.5), np.cos(0.2)]
  np.testing.assert_allclose(x[5:9], want, rtol=1e-6)
  np.testing.assert_array_equal(x[9:], 0.25)


def test_changes_are_drawn_by_their_amounts():
  plain = chairs.Described(
    np.array([7]), np.float32([0.6]), np.float32([0.4]), chairs.neutral()[None]
  )
  style = data.chair_style(7)
  want = data.chair(style, 0.6, 0.4, size=24)
  drawn = chairs.draw(plain, 24)[0]
  np.testing.assert_allclose(drawn[..., :3], want.image, atol=1e-3)
  np.testing.assert_allclose(drawn[..., 3], want.mask, atol=0.26)
  zoom = np.where(np.arange(8) == 3, -1, plain.change)
  changed = plain._replace(change=zoom.astype(np.float32))
  small = chairs.draw(changed, 24)[0, ..., 3].sum()
  want = data.chair(
    style, 0.6, 0.4, data.ChairChange(zoom=0.75), size=24
  ).mask.sum()
  assert small == pytest.approx(float(want), rel=0.02)


def test_views_that_are_judged_lie_halfway():
  seen, unseen = chairs.views(8)
  assert len(seen) == len(unseen) == 4
  np.testing.assert_allclose(unseen - seen, np.pi / 4, rtol=1e-5)
  drawn = chairs.random_chairs(jax.random.key(0), 50, 9, seen, changed=True)
  assert set(np.asarray(drawn.azimuth)) <= set(seen)
  assert drawn.style.max() < 9
  still = (drawn.change == chairs.neutral()[None]).mean()
  assert 0.35 < still < 0.65
  assert jnp.abs(drawn.change).max() <= 1


def test_the_generator_learns_to_draw(tmp_path):
  results = start(
    NAME, tmp_path, styles=6, steps=150, batch_size=8, features=32,
    widths=(32, 16, 8), learning_rate=3e-3, judged=16,
    mask=1.0,
  )  # fmt: skip
  rows = [row for row in read_metrics(tmp_path) if 'training/image' in row]
  assert rows[-1]['training/image'] < 0.6 * rows[0]['training/image']
  assert rows[-1]['training/mask'] < 0.9 * rows[0]['training/mask']
  # The errors of views that were seen, by hand.
  net = nets.load(tmp_path / 'generator.safetensors')
  assert results['parameters'] == nets.param_count(net)
  seen, _ = chairs.views(8)
  key = jax.random.fold_in(jax.random.key(0), 150)
  some = chairs.random_chairs(key, 16, 6, seen, changed=False)
  made = net(chairs.described(some, 6))[1]['drawn']
  wanted = chairs.draw(some, 16)
  error = np.square(made - wanted)[..., :3].mean()
  assert results['seen_error'] == pytest.approx(error, rel=0.02)
  one, other = made[..., 3] > 0.5, wanted[..., 3] > 0.5
  iou = (one & other).sum((1, 2)) / (one | other).sum((1, 2))
  assert results['seen_iou'] == pytest.approx(float(iou.mean()), abs=0.02)
  assert results['nearest_iou'] < 1
  shown = read(tmp_path, 'shown')
  assert shown['turned'].shape == (3, 5, 16, 16, 4)
  # A unit alone, by hand.
  unit, value = shown['alone_unit'][3, 2], shown['alone_value'][3, 2]
  some_x = chairs.described(some, 6)
  alone = jnp.zeros((16, 1, 1, 32)).at[..., unit].set(value)
  _, acts = net(some_x, {'joined2_relu': lambda _: alone})
  np.testing.assert_allclose(shown['alone'][3, 2], acts['drawn'][0], atol=0.02)
  nothing = net(some_x, {'joined2_relu': jnp.zeros_like})[1]['drawn'][0]
  assert jnp.abs(acts['drawn'][0] - nothing).max() > 0.05


def test_a_stopped_one_ends_the_same(tmp_path, monkeypatch):
  stops = stops_of_the_same(NAME, tmp_path, monkeypatch, every=2)
  assert stops > 0


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'styles': 241}, 'config.styles: got 241, expected 2 to 240'),
    ({'azimuths': 2}, 'config.azimuths: got 2, expected an even number from 4'),
    ({'widths': ()}, r'config.widths: got \(\), expected numbers'),
    ({'size': 17}, 'config.size: got 17, expected a multiple of 2'),
    ({'streams': 3}, 'config.streams: got 3, expected 1 or 2'),
    ({'mask': -1.0}, 'config.mask: got -1.0'),
    ({'steps': 0}, 'config.steps: got 0'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start(NAME, tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
