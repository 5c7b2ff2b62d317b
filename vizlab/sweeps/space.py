"""Search spaces of sweeps, defined by the ``sweep(add)`` of a config file.

A config file may have a function ``sweep(add)`` beside ``get_config``, and
others named ``sweep_NAME(add)``. They need no imports: ``add`` has all helpers.

  def sweep(add):
    add(beta=1e3)  # a trial with one setting changed
    add(add.product(alpha=(1.0, 10.0), seed=(0, 1, 2)))  # six trials
    add(add.random(20, seed=0, learning_rate=add.log_uniform(1e-3, 1.0)))
"""

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from vizlab.runs.settings import assign, each_of, flatten, validate

__all__ = ['Adder', 'Trial', 'apply', 'names', 'trials']

Overrides = dict[str, Any]
Draw = Callable[[np.random.Generator], Any]

# Longest name of a trial's folder, within the limits of file systems.
_LONGEST = 120


@dataclasses.dataclass(frozen=True)
class Trial:
  """Trial of a sweep.

  Attributes:
    number: Index of the trial, from 0.
    overrides: Changed settings, such as ``{'net.pool': 'avg'}``.
  """

  number: int
  overrides: Overrides

  @property
  def name(self) -> str:
    """Name of the trial's folder: its number and the changed settings."""
    parts = [f'{k}={_short(v)}' for k, v in self.overrides.items()]
    text = re.sub(r'[^\w=.,+-]+', '-', '_'.join(parts))[:_LONGEST]
    return f'{self.number:04d}_{text}'.rstrip('_')


class Adder:
  """Collector of trials, the argument of ``sweep(add)``.

  The helpers return lists of overrides and can be nested: a product of a zip
  and an axis, a chain of two products. Nested settings are written with dots,
  ``**{'net.pool': ('max', 'avg')}``.
  """

  def __init__(self) -> None:
    """Starts without trials."""
    self.found: list[Overrides] = []

  def __call__(
    self, trials: Iterable[Overrides] | Overrides = (), /, **overrides: Any
  ) -> None:
    """Adds the trials of a helper, or one trial with the given overrides."""
    several = [trials] if isinstance(trials, Mapping) else trials
    self.found += [dict(trial) for trial in several]
    if overrides:
      self.found.append(overrides)

  @staticmethod
  def product(
    *parts: Sequence[Overrides], **axes: Iterable[Any]
  ) -> list[Overrides]:
    """Returns all combinations; the last axis varies fastest."""
    each = [*parts, *([{name: v} for v in axes[name]] for name in axes)]
    return [_merged(some) for some in itertools.product(*each)]

  @staticmethod
  def zip(
    *parts: Sequence[Overrides], **axes: Iterable[Any]
  ) -> list[Overrides]:
    """Combines the axes elementwise; all must have the same length."""
    each = [*parts, *([{name: v} for v in axes[name]] for name in axes)]
    if len({len(part) for part in each}) > 1:
      raise ValueError(
        f'zip: got parts of {[len(part) for part in each]} values, expected '
        'equal lengths'
      )
    return [_merged(some) for some in zip(*each, strict=True)]

  @staticmethod
  def chain(*parts: Iterable[Overrides]) -> list[Overrides]:
    """Concatenates lists of overrides."""
    return [dict(trial) for trial in itertools.chain(*parts)]

  @staticmethod
  def random(count: int, *, seed: int, **axes: Draw) -> list[Overrides]:
    """Draws random trials, the same ones for the same seed.

    Args:
      count: Number of trials.
      seed: Seed of the draws. A larger ``count`` starts with the same trials.
      **axes: Distribution of each setting: `uniform`, `log_uniform` or
        `choice`.
    """
    for name, draw in axes.items():
      if not callable(draw):
        raise ValueError(
          f'random: got {name}={draw!r}, expected log_uniform(...), '
          'uniform(...) or choice(...)'
        )
    draws = np.random.default_rng(seed)
    return [
      {name: draw(draws) for name, draw in axes.items()} for _ in range(count)
    ]

  @staticmethod
  def uniform(low: float, high: float) -> Draw:
    """Uniform distribution between two numbers."""
    return lambda draws: _rounded(draws.uniform(low, high))

  @staticmethod
  def log_uniform(low: float, high: float) -> Draw:
    """Log-uniform distribution between two positive numbers."""
    if not 0 < low <= high:
      raise ValueError(
        f'log_uniform: got {low}, {high}, expected 0 < low <= high'
      )
    ends = math.log(low), math.log(high)
    return lambda draws: _rounded(math.exp(draws.uniform(*ends)))

  @staticmethod
  def choice(*values: Any) -> Draw:
    """Uniform distribution over some values."""
    return lambda draws: values[draws.integers(len(values))]


def names(module: ModuleType) -> list[str]:
  """Names of the sweeps of a config file; ``''`` stands for ``sweep``."""
  found = [name for name in vars(module) if re.fullmatch(r'sweep(_\w+)?', name)]
  return sorted(name.removeprefix('sweep').removeprefix('_') for name in found)


def trials(module: ModuleType, name: str, config: ConfigDict) -> list[Trial]:
  """Lists the trials of a sweep.

  Args:
    module: The module of a config file.
    name: Name of the sweep; ``''`` for the function ``sweep``.
    config: Config to which the overrides apply; it is not modified.

  Raises:
    ValueError: The sweep is unknown or empty, two trials are equal, or an
      override is not valid for the config.
  """
  defined = names(module)
  if not defined:
    raise ValueError(
      f'config: {module.__name__} defines no sweep, expected a function '
      'sweep(add)'
    )
  if name not in defined and '' in defined and len(defined) == 1:
    raise ValueError(
      f'name: got {name!r}, expected none: the only sweep of '
      f'{module.__name__} has no name'
    )
  each_of('name', [name], defined)
  adder = Adder()
  getattr(module, f'sweep_{name}' if name else 'sweep')(adder)
  if not adder.found:
    raise ValueError(f'name: the sweep {name!r} of {module.__name__} is empty')
  listed = [Trial(i, _plain(o)) for i, o in enumerate(adder.found)]
  by_config: dict[str, Trial] = {}
  for trial in listed:
    key = json.dumps(apply(trial, config).to_dict(), sort_keys=True)
    if key in by_config:
      raise ValueError(
        f'sweep: trials {by_config[key].number} and {trial.number} are both '
        f'{trial.overrides}'
      )
    by_config[key] = trial
  return listed


def apply(trial: Trial, config: ConfigDict) -> ConfigDict:
  """Returns a copy of a config with the overrides of a trial.

  Raises:
    ValueError: A setting is unknown or of another type.
  """
  changed = config.copy_and_resolve_references()
  each_of('sweep: setting', trial.overrides, flatten(config.to_dict()))
  try:
    assign(changed, trial.overrides)
    validate(changed, config, 'the config')
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f'sweep: trial {trial.number}, {trial.overrides}: {error}'
    ) from error
  return changed


def _merged(parts: Iterable[Overrides]) -> Overrides:
  merged: Overrides = {}
  for part in parts:
    if twice := merged.keys() & part.keys():
      raise ValueError(f'sweep: got {sorted(twice)} twice in one trial')
    merged |= part
  return merged


def _plain(overrides: Overrides) -> Overrides:
  """Converts overrides to JSON values, so that they equal saved ones."""
  values = {
    k: v.item() if isinstance(v, np.generic) else v
    for k, v in overrides.items()
  }
  try:
    return json.loads(json.dumps(values))
  except TypeError as error:
    raise ValueError(f'sweep: {overrides}: {error}') from error


def _short(value: Any) -> str:
  return f'{value:.6g}' if isinstance(value, float) else str(value)


def _rounded(value: float) -> float:
  """Rounds to six digits, so that the folder's name shows the exact value."""
  return float(f'{value:.6g}')
