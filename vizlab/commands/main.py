"""Entry points of the commands, which first install signal handlers."""

import importlib

from vizlab.runs import stopping

__all__ = ['vizlab_convert', 'vizlab_run', 'vizlab_sweep']


def vizlab_run() -> None:
  """Runs an experiment."""
  _start('run')


def vizlab_sweep() -> None:
  """Runs a sweep."""
  _start('sweep')


def vizlab_convert() -> None:
  """Converts trained weights."""
  _start('convert')


def _start(name: str) -> None:
  # The next imports take long, and there is nothing to save.
  stopping.listen(patience=0.0)
  from vizlab.commands import launching

  launching.start(importlib.import_module(f'vizlab.commands.{name}'))
