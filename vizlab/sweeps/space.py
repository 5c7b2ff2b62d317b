"""Sweeps: which settings are tried, as a config's ``sweep(add)`` says.

A config file has a function ``sweep(add)`` beside ``get_config``, and may have
more, ``sweep_NAME(add)``. They need no import: ``add`` brings what they use.

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

# Of the name of a trial's folder, so that no file system minds.
_LONGEST = 120


@dataclasses.dataclass(frozen=True)
class Trial:
  """One run of a sweep.

  Attributes:
    number: From 0 on.
    overrides: The settings that are changed, ``{'net.pool': 'avg'}``.
  """

  number: int
  overrides: Overrides

  @property
  def name(self) -> str:
    """Name of its folder: the number, and what differs."""
    parts = [f'{k}={_short(v)}' for k, v in self.overrides.items()]
    text = re.sub(r'[^\w=.,+-]+', '-', '_'.join(parts))[:_LONGEST]
    return f'{self.number:04d}_{text}'.rstrip('_')


class Adder:
  """Collector of trials, the argument of ``sweep(add)``.

  The helpers return lists of overrides, so that they can be nested: a product
  of a zip and an axis, a chain of two products. Settings inside of others are
  written with dots, ``**{'net.pool': ('max', 'avg')}``.
  """

  def __init__(self) -> None:
    """Without trials."""
    self.found: list[Overrides] = []

  def __call__(
    self, trials: Iterable[Overrides] | Overrides = (), /, **overrides: Any
  ) -> None:
    """Adds trials that a helper made, or one with these overrides."""
    several = [trials] if isinstance(trials, Mapping) else trials
    self.found += [dict(trial) for trial in several]
    if overrides:
      self.found.append(overrides)

  @staticmethod
  def product(
    *parts: Sequence[Overrides], **axes: Iterable[Any]
  ) -> list[Overrides]:
    """All combinations; the last axis changes fastest."""
    each = [*parts, *([{name: v} for v in axes[name]] for name in axes)]
    return [_merged(some) for some in itertools.product(*each)]

  @staticmethod
  def zip(
    *parts: Sequence[Overrides], **axes: Iterable[Any]
  ) -> list[Overrides]:
    """The first of all, the second of all, and so on; all equally long."""
    each = [*parts, *([{name: v} for v in axes[name]] for name in axes)]
    if len({len(part) for part in each}) > 1:
      raise ValueError(
        f'zip: got parts of {[len(part) for part in each]} values, expected '
        'all equally long'
      )
    return [_merged(some) for some in zip(*each, strict=True)]

  @staticmethod
  def chain(*parts: Iterable[Overrides]) -> list[Overrides]:
    """One after the other."""
    return [dict(trial) for trial in itertools.chain(*parts)]

  @staticmethod
  def random(count: int, *, seed: int, **axes: Draw) -> list[Overrides]:
    """Trials drawn at random: the same ones for the same seed.

    Args:
      count: How many.
      seed: Of the draws. Another count with it begins with the same trials.
      **axes: What each setting is drawn from: `log_uniform` ...
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
    """Numbers between two."""
    return lambda draws: _rounded(draws.uniform(low, high))

  @staticmethod
  def log_uniform(low: float, high: float) -> Draw:
    """Positive numbers between two, as many in every factor of ten."""
    if not 0 < low <= high:
      raise ValueError(
        f'log_uniform: got {low}, {high}, expected 0 < low <= high'
      )
    ends = math.log(low), math.log(high)
    return lambda draws: _rounded(math.exp(draws.uniform(*ends)))

  @staticmethod
  def choice(*values: Any) -> Draw:
    """One of some values."""
    return lambda draws: values[draws.integers(len(values))]


def names(module: ModuleType) -> list[str]:
  """The sweeps of a config file; ``''`` is the one named just ``sweep``."""
  found = [name for name in vars(module) if re.fullmatch(r'sweep(_\w+)?', name)]
  return sorted(name.removeprefix('sweep').removeprefix('_') for name in found)


def trials(module: ModuleType, name: str, config: ConfigDict) -> list[Trial]:
  """The trials of a sweep.

  Args:
    module: A config file.
    name: Of its sweep; ``''`` for the one without a name.
    config: What the overrides change; it stays as it is.

  Raises:
    ValueError: No such sweep, no trials, two alike, or an override that the
      config does not admit.
  """
  each_of('name', [name], names(module))
  adder = Adder()
  getattr(module, f'sweep_{name}' if name else 'sweep')(adder)
  if not adder.found:
    raise ValueError(f'name: the sweep {name!r} of {module.__name__} is empty')
  found = [Trial(i, _plain(o)) for i, o in enumerate(adder.found)]
  seen: dict[str, Trial] = {}
  for trial in found:
    key = json.dumps(apply(trial, config).to_dict(), sort_keys=True)
    if key in seen:
      raise ValueError(
        f'sweep: trials {seen[key].number} and {trial.number} are both '
        f'{trial.overrides}'
      )
    seen[key] = trial
  return found


def apply(trial: Trial, config: ConfigDict) -> ConfigDict:
  """The config of a trial, a copy.

  Raises:
    ValueError: A setting that is not there, or of another type.
  """
  made = config.copy_and_resolve_references()
  each_of('sweep: setting', trial.overrides, flatten(config.to_dict()))
  try:
    assign(made, trial.overrides)
    validate(made, config, 'the config')
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f'sweep: trial {trial.number}, {trial.overrides}: {error}'
    ) from error
  return made


def _merged(parts: Iterable[Overrides]) -> Overrides:
  merged: Overrides = {}
  for part in parts:
    if twice := merged.keys() & part.keys():
      raise ValueError(f'sweep: got {sorted(twice)} twice in one trial')
    merged |= part
  return merged


def _plain(overrides: Overrides) -> Overrides:
  """Overrides as JSON holds them, so that saved ones are equal."""
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
  """To six digits: what a folder's name says is what is run."""
  return float(f'{value:.6g}')
