"""Progress of an optimization that can be stopped between its chunks."""

from collections.abc import Iterable, Iterator

from vizlab import optimize
from vizlab.runs import distributed, stopping

__all__ = ['stoppable']


def stoppable(
  progress: Iterable[optimize.Progress],
) -> Iterator[optimize.Progress]:
  """Yields what ``optimize.run`` yields, unless the run is to end."""
  for now in progress:
    stopping.check()
    distributed.check()
    yield now
