"""Report of a sweep: table, pictures by swept settings, curves."""

import csv
import importlib.util
import io as streams
import json
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from vizlab import io
from vizlab.runs import plots
from vizlab.runs.report import data_url, template
from vizlab.runs.settings import flatten
from vizlab.sweeps.reader import load_sweep
from vizlab.sweeps.space import Trial
from vizlab.sweeps.sweep import Sweep, counts

__all__ = ['pictures', 'write']

_THUMBNAIL = 192  # pixels of the longer side
_POINTS = 200  # most points of a curve


def write(sweep: Sweep, picture: str = '') -> pathlib.Path:
  """Writes ``summary.csv`` and ``report.html``.

  Args:
    sweep: The sweep, finished or not.
    picture: Name of the picture to show for each trial; the first picture of
      its report if empty.

  Returns:
    Path of the report.
  """
  rows = load_sweep(sweep.folder)
  columns = list(dict.fromkeys(k for row in rows for k in row if k != 'folder'))
  text = streams.StringIO()
  table = csv.DictWriter(text, columns, extrasaction='ignore')
  table.writeheader()
  table.writerows(rows)
  io.write_text(sweep.folder / 'summary.csv', text.getvalue())
  shown = {t.number: _thumbnail(sweep, t, picture) for t in sweep.trials}
  page = pathlib.Path(__file__).with_suffix('.html')
  html = template(page, {'cell': _cell}).render(
    title=f'{sweep.base.experiment}: {len(rows)} trials',
    counts=counts(sweep),
    columns=columns,
    rows=rows,
    names=[trial.name for trial in sweep.trials],
    words=[_words(trial, sweep.state(trial)) for trial in sweep.trials],
    pictures=shown,
    grids=_grids(sweep),
    curves=_curves(sweep),
    settings=json.dumps(_shared(sweep), indent=2),
  )
  return io.write_text(sweep.folder / 'report.html', html)


def _shared(sweep: Sweep) -> dict[str, Any]:
  """Settings that no trial changes."""
  swept = {name for trial in sweep.trials for name in trial.overrides}
  every = flatten(sweep.base.to_dict())
  return {name: value for name, value in every.items() if name not in swept}


def pictures(sweep: Sweep) -> list[str]:
  """Names of the pictures of finished trials."""
  done = [t for t in sweep.trials if sweep.state(t) == 'finished']
  return sorted({p.stem for t in done for p in sweep.workdir(t).glob('*.png')})


def _cell(value: Any) -> str:
  return f'{value:.5g}' if isinstance(value, float) else str(value)


def _words(trial: Trial, state: str) -> list[str]:
  """Keywords of a trial for the filter of the table, without spaces."""
  changes = [f'{k}={v}' for k, v in trial.overrides.items()]
  return [part.replace(' ', '') for part in (*changes, trial.name, state)]


def _thumbnail(sweep: Sweep, trial: Trial, name: str) -> dict[str, str] | None:
  """Thumbnail of a picture of a trial, and the path of the full picture."""
  folder = sweep.workdir(trial)
  known = folder / 'figures.json'
  if not name and known.exists():
    name = next(iter(json.loads(known.read_text())), '')
  path = folder / f'{name}.png'
  if sweep.state(trial) != 'finished' or not name or not path.exists():
    return None
  small = Image.open(path).convert('RGB')
  small.thumbnail((_THUMBNAIL, _THUMBNAIL))
  return {
    'small': data_url(small, 'jpeg', quality=85),
    'whole': f'{trial.name}/{path.name}',
  }


def _grids(sweep: Sweep) -> list[dict[str, Any]]:
  """Arranges trials in rows and columns by the first and last swept setting.

  There is one grid per combination of the other swept settings, and none for
  random values, which no two trials share.
  """
  values: dict[str, list[str]] = {}
  for trial in sweep.trials:
    for name, value in trial.overrides.items():
      texts = values.setdefault(name, [])
      if (text := _cell(value)) not in texts:
        texts.append(text)
  axes = [name for name, texts in values.items() if len(texts) > 1]
  if not axes or any(len(values[n]) == len(sweep.trials) > 12 for n in axes):
    return []
  row, column = axes[0] if len(axes) > 1 else '', axes[-1]
  grids: dict[str, dict[str, Any]] = {}
  for trial in sweep.trials:
    own = {k: _cell(v) for k, v in trial.overrides.items()}
    rest = [f'{k} {own.pop(k, "")}' for k in axes if k not in (row, column)]
    grid = grids.setdefault(
      ', '.join(rest),
      {
        'row': row,
        'column': column,
        'rows': values.get(row, ['']),
        'columns': values[column],
        'cells': {},
      },
    )
    key = f'{own.get(row, "")}|{own.get(column, "")}'
    grid['cells'].setdefault(key, trial.number)
  return [{'title': title, **grid} for title, grid in grids.items()]


def _curves(sweep: Sweep) -> str | None:
  """Plots the scores of each trial by step; ``''`` if there are none.

  Returns ``None`` if matplotlib is not installed. Scores that are all negative
  are losses and plotted as such, on a logarithmic axis.
  """
  read = {trial.name: _scores(sweep.workdir(trial)) for trial in sweep.trials}
  by_trial = {name: y for name, y in read.items() if y is not None and y.size}
  if not by_trial:
    return ''
  if importlib.util.find_spec('matplotlib') is None:
    return None
  losses = max(scores.max() for scores in by_trial.values()) < 0
  lines = {}
  for name, scores in by_trial.items():
    few = np.unique(np.linspace(0, len(scores) - 1, _POINTS).astype(int))
    lines[name] = few + 1, (-scores if losses else scores)[few]
  drawn = plots.lines(lines, 'step', 'loss' if losses else 'score', log=losses)
  return data_url(Image.fromarray(drawn), 'png')


def _scores(folder: pathlib.Path) -> np.ndarray | None:
  """Mean score at each step of a trial's optimizations, concatenated."""
  parts = []
  for path in sorted(folder.glob('*.npz'), key=lambda p: p.stat().st_mtime_ns):
    with np.load(path) as arrays:
      if 'scores' in arrays:
        scores = arrays['scores']
        parts.append(scores.reshape(len(scores), -1).mean(1))
  if not parts:
    return None
  scores = np.concatenate(parts)
  return scores[np.isfinite(scores)]
