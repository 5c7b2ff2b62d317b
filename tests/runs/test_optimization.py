"""The experiments that make images: killed and resumed."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import start

from vizlab import optimize, penalties, synthesis
from vizlab.objectives import channel, score
from vizlab.runs import loop, optimization
from vizlab.runs.reader import read_metrics
from vizlab.runs.recorder import Recorder
from vizlab_experiments.configs.synthesis import (
  visualize as config_of_visualize,
)

SHAPE = (2, 8, 8, 3)


@pytest.fixture
def recorder(tmp_path):
  recorder = Recorder(tmp_path / 'run', config_of_visualize.get_test_config())
  recorder.open()
  return recorder


def grow(recorder, steps=12, wish=None, **settings):
  """Images of which each step depends on all before it, and on chance."""
  return optimization.optimize_resumable(
    recorder,
    'grown',
    wish or (lambda x: jnp.sin(7 * x).sum((1, 2, 3))),
    synthesis.fourier(SHAPE),
    jax.random.key(0),
    steps=steps,
    chunk=2,
    penalty=0.01 * penalties.tv(2.0),
    augment=synthesis.jitter(2),
    **settings,
  )


@pytest.mark.parametrize('after', [1, 3, 5])
def test_a_killed_run_ends_as_an_undisturbed_one(after, recorder, monkeypatch):
  whole = grow(recorder)
  (recorder.workdir / 'grown.npz').unlink()
  monkeypatch.setattr(loop, '_EVERY', 0.0)
  run, chunks = optimize.run, []

  def killing(*args, **settings):
    for progress in run(*args, **settings):
      chunks.append(progress.step)
      if len(chunks) == after + 1:
        raise KeyboardInterrupt
      yield progress

  monkeypatch.setattr(optimize, 'run', killing)
  with pytest.raises(KeyboardInterrupt):
    grow(recorder)
  assert not (recorder.workdir / 'grown.npz').exists()
  again = grow(recorder)
  assert chunks[after + 1] == 2 * after + 2, 'it goes on where it was'
  for name, value in whole._asdict().items():
    np.testing.assert_array_equal(getattr(again, name), value)
  assert again.scores.shape == (12, 2)
  assert not list((recorder.workdir / 'checkpoints').glob('*'))


def test_ctrl_c_keeps_all_chunks(recorder, monkeypatch):
  whole = grow(recorder)
  (recorder.workdir / 'grown.npz').unlink()
  run, chunks = optimize.run, []

  def interrupted(*args, **settings):
    for progress in run(*args, **settings):
      chunks.append(progress.step)
      yield progress
      if len(chunks) == 3:  # while the next chunk is computed
        raise KeyboardInterrupt

  monkeypatch.setattr(optimize, 'run', interrupted)
  with pytest.raises(KeyboardInterrupt):
    grow(recorder)
  again = grow(recorder)
  assert chunks == [2, 4, 6, 8, 10, 12], 'no step is taken twice'
  np.testing.assert_array_equal(again.images, whole.images)
  np.testing.assert_array_equal(again.scores, whole.scores)


def test_names_with_slashes_are_flat_files(recorder):
  made = optimization.optimize_resumable(
    recorder,
    'fire2/concat_0',
    lambda x: x.sum((1, 2, 3)),
    synthesis.pixels(jnp.zeros(SHAPE)),
    jax.random.key(0),
    steps=1,
  )
  assert (recorder.workdir / 'fire2_concat_0.npz').is_file()
  assert not [p for p in recorder.workdir.iterdir() if p.is_dir()]
  assert made.images.shape == SHAPE


def test_a_batch_chosen_by_memory_is_kept(tmp_path, monkeypatch):
  settings = {'batch': 0, 'negative': False, 'examples': False}
  make, free = optimization.optimize_resumable, optimization._free_bytes
  priors = importlib.import_module('vizlab_experiments.shared.image_priors')

  def killed(*args, **settings):
    raise KeyboardInterrupt

  monkeypatch.setattr(priors, 'optimize_resumable', killed)
  with pytest.raises(KeyboardInterrupt):
    start('synthesis/visualize', tmp_path / 'run', **settings)
  monkeypatch.setattr(priors, 'optimize_resumable', make)
  monkeypatch.setattr(optimization, '_free_bytes', lambda: 0)
  start('synthesis/visualize', tmp_path / 'run', **settings)
  assert (tmp_path / 'run' / 'relu2_1_0.npz').exists()
  assert not (tmp_path / 'run' / 'relu2_1_1.npz').exists(), 'two at once'
  assert free() > 0


def test_what_is_made_is_not_made_again(recorder, monkeypatch):
  first = grow(recorder)
  monkeypatch.setattr(optimize, 'run', None)
  np.testing.assert_array_equal(grow(recorder).images, first.images)


def test_patience_stops_what_does_not_rise(recorder):
  made = grow(recorder, steps=400, patience=1e-3)
  assert len(made.scores) < 400
  rest = made.scores[-2:].mean() - made.scores[-4:-2].mean()
  assert rest < 2e-3 * made.scores[-1].mean()


@pytest.mark.parametrize('after', [1, 4])
def test_patience_stops_a_resumed_run_where_it_stops_another(
  after, recorder, monkeypatch
):
  whole = grow(recorder, steps=400, patience=1e-2)
  told = read_metrics(recorder.workdir)
  assert told[-1]['grown/score'] == whole.scores[-1].mean()
  assert told[-1]['grown/penalty'] == whole.penalties[-1].mean()
  assert told[-1]['step'] == len(whole.scores)
  (recorder.workdir / 'grown.npz').unlink()
  monkeypatch.setattr(loop, '_EVERY', 0.0)
  run, count = optimize.run, []

  def killing(*args, **settings):
    for progress in run(*args, **settings):
      count.append(progress.step)
      if len(count) == after + 1:
        raise KeyboardInterrupt
      yield progress

  monkeypatch.setattr(optimize, 'run', killing)
  with pytest.raises(KeyboardInterrupt):
    grow(recorder, steps=400, patience=1e-2)
  again = grow(recorder, steps=400, patience=1e-2)
  np.testing.assert_array_equal(again.scores, whole.scores)
  np.testing.assert_array_equal(again.images, whole.images)
  assert read_metrics(recorder.workdir) == told


def test_an_interrupt_where_patience_ends_changes_nothing(
  recorder, monkeypatch
):
  whole = grow(recorder, steps=400, patience=1e-2)
  (recorder.workdir / 'grown.npz').unlink()
  settled = optimization._settled

  def interrupted(span, patience, values):
    if len(values) == len(whole.scores):
      raise KeyboardInterrupt
    return settled(span, patience, values)

  monkeypatch.setattr(optimization, '_settled', interrupted)
  with pytest.raises(KeyboardInterrupt):
    grow(recorder, steps=400, patience=1e-2)
  monkeypatch.setattr(optimization, '_settled', settled)
  again = grow(recorder, steps=400, patience=1e-2)
  np.testing.assert_array_equal(again.scores, whole.scores)


def test_one_image_that_is_not_finite_spares_the_others(recorder, capsys):
  def wish(x):
    y = jnp.sin(7 * x).sum((1, 2, 3))
    return jnp.where((jnp.arange(2) == 1) & (y > -60.0), jnp.nan, y)

  made = grow(recorder, wish=wish)
  told = read_metrics(recorder.workdir)[-1]
  assert told['grown/score'] == made.scores[-1, 0], 'of what is finite'
  assert made.failed[0] == -1 and made.failed[1] > 0
  first, last = made.ends
  assert np.isfinite(last).all() and last[0] == made.scores[-1, 0]
  assert last[1] == made.scores[made.failed[1] - 1, 1]
  assert 'grown: image 1 was not finite at step' in capsys.readouterr().out


def test_a_score_that_is_not_finite_is_named_with_its_step(recorder):
  with pytest.raises(ValueError, match='grown: its score was not finite at st'):
    grow(recorder, wish=lambda x: jnp.log(x - 2).sum((1, 2, 3)))
  with np.load(recorder.workdir / 'grown.npz') as kept:
    assert np.isfinite(kept['images']).all()


def test_as_many_images_as_fit(tiny, monkeypatch):
  wish = score(tiny, channel('relu2', 1))
  image = synthesis.pixels(jnp.zeros((1, 32, 32, 3)))
  assert optimization.fitting(wish, image, 5) == 5, 'there is memory for these'
  monkeypatch.setattr(optimization, '_free_bytes', lambda: 0)
  assert optimization.fitting(wish, image, 5) == 1
  # Half of a mebibyte holds many small images and fewer large ones.
  monkeypatch.setattr(optimization, '_free_bytes', lambda: 2**20)
  larger = synthesis.pixels(jnp.zeros((1, 64, 64, 3)))
  counts = [optimization.fitting(wish, each, 1000) for each in (image, larger)]
  assert 1 < 2 * counts[1] < counts[0] < 1000, counts
