"""Checkpoints of long computations."""

import pathlib
from typing import Any

import orbax.checkpoint as ocp

from vizlab.runs import stopping

__all__ = ['opened', 'save']

Checkpointer = ocp.v1.training.Checkpointer


def opened(folder: pathlib.Path) -> Checkpointer:
  """Opens the checkpoints of a folder, which keeps the last one."""
  keep = ocp.v1.training.preservation_policies.LatestN(1)
  return Checkpointer(folder.resolve(), preservation_policy=keep)


def save(checkpoints: Checkpointer, step: int, tree: Any) -> None:
  """Saves the state after a step, unless it is saved already."""
  with stopping.writing():
    last = checkpoints.latest
    if last is None or last.step < step:
      checkpoints.save(step, tree, force=True)
