"""Runs of experiments: work directory, resumption, report.

An experiment is a module with two functions: ``prepare(config)`` reads and
checks the inputs and writes nothing, ``run(inputs, recorder)`` computes and
returns results. `execute` runs it in a work directory.
"""

import importlib
from typing import Any

# Imported on access: a command handles signals before imports that take
# seconds.
_WHERE = {
  'Figure': 'report',
  'Recorder': 'recorder',
  'Run': 'reader',
  'Table': 'report',
  'execute': 'execution',
  'load_run': 'reader',
  'optimize_resumable': 'optimization',
  'read_metrics': 'reader',
  'reduce_resumable': 'reduction',
  'train_resumable': 'training',
}
__all__ = [
  'Figure',
  'Recorder',
  'Run',
  'Table',
  'execute',
  'load_run',
  'optimize_resumable',
  'read_metrics',
  'reduce_resumable',
  'train_resumable',
]


def __getattr__(name: str) -> Any:
  if name not in _WHERE:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(f'{__name__}.{_WHERE[name]}'), name)
