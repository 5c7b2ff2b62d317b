"""Every method in half precision: time, and likeness to float32's map."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks import timing
from vizlab import nets
from vizlab.objectives import Score, logit, score
from vizlab.types import Array

__all__ = ['DTYPES', 'contenders', 'correlation']

DTYPES = 'bfloat16', 'float16'


def contenders(
  net: nets.Network, x: Array, methods: Mapping[str, Callable[..., Any]]
) -> Iterator[tuple[str, dict[str, timing.Contender]]]:
  """Yields each method and its contenders by dtype, float32 first.

  Args:
    net: The network, in float32.
    x: Images ``[B, H, W, 3]``; their predicted classes are explained.
    methods: Functions of a score and images, by name.
  """
  target = logit(net(x)[0].argmax(-1))
  scores: dict[str, Score] = {'float32': score(net, target)}
  for dtype in DTYPES:
    scores[dtype] = score(nets.with_dtype(net, dtype), target)
  for name, method in methods.items():
    yield (
      name,
      {
        dtype: timing.compiled(method, each, x)
        for dtype, each in scores.items()
      },
    )


def correlation(contenders: Mapping[str, timing.Contender]) -> dict[str, float]:
  """Correlation of each result with the first one, over all its numbers."""
  first, *rest = (np.ravel(c.call()) for c in contenders.values())
  return {
    label: float(np.corrcoef(first, other)[0, 1])
    for label, other in zip([*contenders][1:], rest, strict=True)
  }
