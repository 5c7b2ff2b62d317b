"""Execution of an experiment in a work directory."""

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab.runs import distributed, files, provenance
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Table

__all__ = ['execute']


def execute(
  experiment: ModuleType,
  config: ConfigDict,
  workdir: str | os.PathLike,
  *,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Runs an experiment, or returns the results of a finished run.

  Nothing is written until ``experiment.prepare(config)`` has returned, so
  invalid settings leave no files behind.

  Args:
    experiment: A module with ``prepare(config) -> inputs``, which reads and
      checks, and ``run(inputs, recorder) -> results``, which computes. An
      interrupted run keeps the results of `Recorder.once` and
      `vizlab.runs.optimize_resumable`. With ``SHARED = True`` several processes
      may work on one run. The results are numbers by name.
    config: Settings of the experiment.
    workdir: Path of the work directory.
    overwrite: Whether to remove the files of an earlier run first.

  Returns:
    The results by name.

  Raises:
    ValueError: The work directory belongs to another run, ``prepare`` rejects
      the settings, or ``run`` does not return numbers by name.
  """
  recorder = Recorder(workdir, config, overwrite=overwrite)
  if recorder.results is not None:
    return recorder.results
  inputs = experiment.prepare(config)
  shared = getattr(experiment, 'SHARED', False)
  recorder.open(shared=shared, code=provenance.own_code(experiment))
  results = _numbers(experiment.run(inputs, recorder))

  def finish() -> None:
    if not (recorder.workdir / files.REPORT).exists():
      table = Table(
        'results', 'The results', ['name', 'value'], list(results.items())
      )
      recorder.report(config.experiment, experiment.__doc__ or '', [table])
    recorder.finish(results)

  leads = jax.process_index() == 0
  distributed.together('finish', finish if leads else None)
  return results


def _numbers(results: Any) -> dict[str, Any]:
  """Results as Python's numbers; raises if they are something else."""
  if not isinstance(results, Mapping):
    raise ValueError(
      f'run: returned {type(results).__name__}, expected numbers by name, such '
      "as {'score': 1.5}"
    )
  numbers = {}
  for name, value in results.items():
    if np.ndim(value) == 0 and hasattr(value, 'item'):  # of NumPy or JAX
      value = value.item()
    if not isinstance(value, int | float):
      raise ValueError(
        f'run: returned {type(value).__name__} as {name!r}, expected a number'
      )
    numbers[name] = value
  return numbers
