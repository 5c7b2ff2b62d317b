"""The report of a sweep in a real browser: sorting, filtering, looking."""

import importlib.util
import pathlib
import re

import numpy as np
import pytest
from browser import browse, needs_browser

from vizlab import io, sweeps
from vizlab.runs import plots
from vizlab.sweeps import report, space
from vizlab_experiments.configs.style import transfer as style_transfer


def finished(folder, trials):
  """A sweep whose trials are as if they had been run."""
  made = [space.Trial(i, overrides) for i, overrides in enumerate(trials)]
  sweep = sweeps.Sweep(folder, style_transfer.get_test_config(), made)
  sweep.open()
  for trial in made:
    own = sweep.workdir(trial)
    picture = np.full((48, 64, 3), 40 * trial.number % 256, np.uint8)
    io.write_png(own / 'transfer.png', picture)
    io.write_json(own / 'figures.json', ['transfer'])
    io.write_json(own / 'DONE', {'loss': 10.0 ** -(trial.number % 7)})
    scores = -np.linspace(5, 1, 20) - trial.number
    io.write_atomic(
      own / 'a.npz', lambda file, scores=scores: np.savez(file, scores=scores)
    )
  return sweep


def test_pictures_are_those_of_finished_trials(tmp_path):
  sweep = finished(tmp_path / 'sweep', [{'beta': 1.0}, {'beta': 2.0}])
  assert report.pictures(sweep) == ['transfer']
  late = sweep.workdir(sweep.trials[1])
  io.write_png(late / 'late.png', np.zeros((8, 8, 3), np.uint8))
  (late / 'DONE').unlink()
  assert report.pictures(sweep) == ['transfer']


@pytest.mark.slow
@needs_browser
def test_a_table_can_be_sorted_and_filtered_and_a_picture_opened(tmp_path):
  axes = {'beta': (1e3, 1e5, 1e4), 'start': ('content', 'noise')}
  sweep = finished(tmp_path / 'sweep', space.Adder.product(**axes))
  page = report.write(sweep)
  script = """
    const heads = [...document.querySelectorAll('#trials th')];
    const column = (name) => heads.findIndex((h) => h.textContent === name);
    const read = (name) => [...document.querySelectorAll('#trials tbody tr')]
      .filter((row) => !row.hidden)
      .map((row) => row.cells[column(name)].textContent.trim());
    told.first = read('trial');
    heads[column('beta')].click();
    told.up = read('beta');
    heads[column('beta')].click();
    told.down = read('beta');
    heads[column('start')].click();
    told.words = read('start');
    const filter = document.getElementById('filter');
    filter.value = 'NOIS beta=1000';
    filter.dispatchEvent(new Event('input'));
    told.filtered = read('trial');
    filter.value = 'beta=1e5 0001_ 0003_';
    filter.dispatchEvent(new Event('input'));
    told.nothing = read('trial');
    filter.value = 'beta=1e5 start=content';
    filter.dispatchEvent(new Event('input'));
    told.number = read('trial');
    filter.value = '';
    filter.dispatchEvent(new Event('input'));
    const picture = document.querySelector('.grid img.picture');
    picture.click();
    const large = document.querySelector('dialog');
    told.open = large.open;
    told.whole = large.querySelector('img').getAttribute('src');
    large.querySelector('img').click();
    told.closed = !large.open;
    told.grid = [...document.querySelectorAll('.grid tr')].map((row) =>
      row.querySelectorAll('img').length);
    told.sorts = heads.map((h) => getComputedStyle(h, '::after').content);
    told.curves = document.getElementById('curves').naturalWidth;
  """
  told = browse(page, script, tmp_path)
  assert told['first'] == list('012345')
  assert told['up'] == ['1000'] * 2 + ['10000'] * 2 + ['1e+05'] * 2
  assert told['down'] == told['up'][::-1]
  assert told['words'] == ['content'] * 3 + ['noise'] * 3
  assert told['filtered'] == ['1']
  assert told['nothing'] == [] and told['number'] == ['2']
  assert told['open'] and told['closed']
  assert (sweep.folder / told['whole']).exists()
  assert told['grid'] == [0, 2, 2, 2] and told['curves'] > 600
  assert told['sorts'].count('" ⇅"') == len(told['sorts']) - 2, 'but one'


@pytest.mark.slow
@needs_browser
def test_five_hundred_trials(tmp_path):
  draws = space.Adder.random(
    500, seed=0, beta=space.Adder.log_uniform(1.0, 1e9)
  )
  page = report.write(finished(tmp_path / 'sweep', draws))
  assert page.stat().st_size < 8e6
  script = """
    const begun = performance.now();
    const head = [...document.querySelectorAll('#trials th')]
      .find((h) => h.textContent === 'beta');
    head.click();
    told.took = performance.now() - begun;
    const rows = [...document.querySelectorAll('#trials tbody tr')];
    told.betas = rows.map((r) => Number(r.cells[head.cellIndex].textContent));
    told.pictures = document.querySelectorAll('#trials img').length;
  """
  told = browse(page, script, tmp_path)
  assert told['betas'] == sorted(told['betas']) and len(told['betas']) == 500
  assert told['pictures'] == 500


def test_the_page_stands_alone(tmp_path):
  page = report.write(finished(tmp_path / 'sweep', [{'beta': 1.0}, {}]))
  text = page.read_text()
  assert 'http' not in text.replace('http://www.w3.org', '')
  links = re.findall(r'(?:href|data-whole)="([^"#]+)"', text)
  missing = [x for x in links if not (pathlib.Path(page).parent / x).exists()]
  assert {pathlib.Path(x).name for x in missing} == {'report.html'}


def test_curves_have_axes_and_a_legend(monkeypatch, tmp_path):
  pytest.importorskip('matplotlib')
  drawn = []
  draw = plots._lines
  monkeypatch.setattr(
    plots, '_lines', lambda *a: drawn.append(draw(*a)) or drawn[-1]
  )
  page = report.write(finished(tmp_path / 'few', [{'beta': 1.0}, {}]))
  axis, (legend,) = drawn[0].axes[0], drawn[0].legends
  assert 'id="curves" src="data:image/png;base64,' in page.read_text()
  told = axis.get_xlabel(), axis.get_ylabel(), axis.get_yscale()
  assert told == ('step', 'loss', 'log')
  names = [text.get_text() for text in legend.get_texts()]
  assert names == ['0000_beta=1', '0001']
  (first, second) = axis.lines
  np.testing.assert_array_equal(first.get_xdata(), np.arange(1, 21))
  np.testing.assert_allclose(first.get_ydata(), np.linspace(5, 1, 20))
  np.testing.assert_allclose(second.get_ydata(), np.linspace(6, 2, 20))
  report.write(
    finished(tmp_path / 'many', [{'beta': float(i)} for i in range(21)])
  )
  assert not drawn[1].legends and 'of the 21' in drawn[1].axes[1].get_ylabel()


def test_without_matplotlib_the_page_says_so(monkeypatch, tmp_path):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  page = report.write(finished(tmp_path / 'sweep', [{'beta': 1.0}]))
  text = page.read_text()
  assert 'need matplotlib' in text and 'id="curves"' not in text
