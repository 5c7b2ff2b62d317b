"""Checkpoints of what takes long; an interrupt makes one more."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import orbax.checkpoint as ocp

__all__ = ['opened', 'save', 'saving']

Checkpointer = ocp.v1.training.Checkpointer


def opened(folder: pathlib.Path) -> Checkpointer:
  """Checkpoints in a folder, of which the last one is kept."""
  keep = ocp.v1.training.preservation_policies.LatestN(1)
  return Checkpointer(folder.resolve(), preservation_policy=keep)


def save(checkpoints: Checkpointer, step: int, tree: Any) -> None:
  """Saves what there is after a step, unless that is saved already."""
  last = checkpoints.latest
  if last is None or last.step < step:
    checkpoints.save(step, tree, force=True)


@contextlib.contextmanager
def saving(save: Callable[[], None]) -> Iterator[None]:
  """Saves when a run is interrupted, so that nothing of it is lost."""
  try:
    yield
  except (KeyboardInterrupt, SystemExit):
    save()
    raise
