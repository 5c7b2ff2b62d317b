"""What the experiments of style share: from coarse to fine, and regions."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from ml_collections import ConfigDict

from experiments.common import Recorder
from experiments.making import Made, check, make
from experiments.settings import (
  each_of,
  listed,
  need_not_negative,
  need_positive,
)
from vizlab import io, nets, penalties, synthesis
from vizlab.objectives import Objective, Score, score
from vizlab.style import STATISTICS

__all__ = ['Job', 'check_settings', 'noise', 'read_styles', 'sizes']

# How steps are taken, and the rate that suits it: pixels of [0, 1] in a step.
RULES = {
  'lbfgs': (lambda rate: synthesis.lbfgs(rate, rate), 0.05),
  'adam': (optax.adam, 0.02),
}


class Job:
  """Images by one way of optimising, each from coarse to fine."""

  def __init__(
    self, config: ConfigDict, recorder: Recorder, net: nets.Network
  ) -> None:
    """Takes what all of them share."""
    self.config, self.recorder, self.net = config, recorder, net

  def wish(self, loss: Objective) -> Score:
    """What is maximised."""
    return score(self.net, -1.0 * loss)

  def check(self, loss: Objective, start: np.ndarray) -> None:
    """Raises a `ValueError` unless they fit; nothing is computed."""
    check(self.wish(loss), synthesis.pixels(start))

  def __call__(
    self,
    name: str,
    loss_at: Callable[[tuple[int, int]], Objective],
    starts: Callable[[tuple[int, int]], np.ndarray],
    where: Sequence[tuple[int, int]],
  ) -> list[Made]:
    """An image at each size, which starts from the one before.

    Args:
      name: Of the results.
      loss_at: What is minimised at a size.
      starts: Where the first one starts.
      where: Heights and widths, the smallest first.
    """
    config, found = self.config, []
    make_rule, rate = RULES[config.optimizer]
    for size in where:
      if found:
        shape = (*size, 3)
        start = jax.image.resize(found[-1].images, shape, 'cubic')
      else:
        start = starts(size)
      made = make(
        self.recorder,
        f'{name}_{size[0]}x{size[1]}',
        self.wish(loss_at(size)),
        synthesis.pixels(jnp.asarray(start)),
        jax.random.key(config.seed),
        steps=config.steps,
        patience=config.patience,
        penalty=config.tv * penalties.tv(2.0),
        rule=Partial(make_rule, config.learning_rate or rate),
      )
      found.append(made._replace(images=np.clip(made.images, 0, 1)))
    return found


def check_settings(config: ConfigDict) -> None:
  """Raises a `ValueError` for settings that all these experiments have."""
  need_positive(config, 'steps', 'size', 'octaves')
  need_not_negative(config, 'learning_rate', 'patience', 'tv')
  each_of('config.optimizer', [config.optimizer], RULES)
  each_of('config.statistic', [config.statistic], STATISTICS)


def sizes(config: ConfigDict, height: int, width: int) -> list[tuple[int, int]]:
  """Sizes from coarse to fine, each half of the next."""
  found = [
    (round(height / 2**i), round(width / 2**i))
    for i in reversed(range(config.octaves))
  ]
  if min(found[0]) < 16:
    raise ValueError(
      f'config.size, config.octaves: got {config.size}, {config.octaves}: the '
      f'coarsest image would have {found[0]} pixels, expected at least 16'
    )
  return found


def read_styles(names: str, shorter: int) -> list[np.ndarray]:
  """The pictures between commas."""
  return [io.read_image(name, shorter=shorter) for name in listed(names)]


def noise(config: ConfigDict, size: tuple[int, int]) -> np.ndarray:
  """Grey with noise, in no place alike."""
  draw = np.random.default_rng(config.seed).normal
  return (0.5 + 0.1 * draw(size=(*size, 3))).astype(np.float32)
