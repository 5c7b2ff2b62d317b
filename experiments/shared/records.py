"""Record of a training, which is kept beside the weights."""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from vizlab import io
from vizlab.runs.reader import read_metrics
from vizlab.runs.recorder import Recorder

__all__ = ['curve', 'write_record']


def curve(recorder: Recorder, name: str = 'training') -> list[dict[str, float]]:
  """Step and metrics of each row of a training's metrics."""
  return [
    {key.removeprefix(f'{name}/'): value for key, value in row.items()}
    for row in read_metrics(recorder.workdir)
    if f'{name}/loss' in row
  ]


def write_record(
  recorder: Recorder, results: Mapping[str, Any], curve: Sequence[Any]
) -> None:
  """Writes ``record.json``: settings, results, curve, machine and version."""
  io.write_json(
    recorder.workdir / 'record.json',
    {
      'config': recorder.settings,
      'results': results,
      'curve': curve,
      'machine': f'{os.cpu_count()} cores, {platform.machine()}, '
      f'{jax.default_backend()}',
      'jax': jax.__version__,
    },
  )
