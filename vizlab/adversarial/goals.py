"""Goals of attacks: scores to raise, and when an attack has succeeded."""

from collections.abc import Callable, Mapping
from typing import Any

from vizlab.objectives import Objective, Score, cross_entropy, margin, score
from vizlab.objectives.base import check_score
from vizlab.objectives.contract import run_net
from vizlab.types import Acts, Array, Net, ScoreFn

__all__ = ['classify', 'lead', 'mislead', 'read']


def mislead(
  net: Net,
  label: int | Array,
  loss: Callable[[Any], Objective] = cross_entropy,
) -> Score:
  """Score whose rise takes images away from their class.

  An attack on it has succeeded where another class has a larger logit.

  Args:
    net: A net with a classifier.
    label: Class of the images, one number or one per image.
    loss: Objective of a class that is raised: `vizlab.objectives.cross_entropy`
      or ``dlr``, or for the margin ``lambda label: -margin(label)``.

  Returns:
    A `Score` of two objectives: ``loss``, and ``goal``, above 0 at success.

  >>> import jax.numpy as jnp
  >>> from vizlab import adversarial, nets
  >>> net = nets.load('minivgg')
  >>> x = jnp.full((1, 96, 96, 3), 0.5)
  >>> adversarial.fgsm(adversarial.mislead(net, 3), x, epsilon=0.03).raw.shape
  (1, 96, 96, 3)
  """
  return score(net, {'loss': loss(label), 'goal': -margin(label)})


def lead(
  net: Net,
  target: int | Array,
  loss: Callable[[Any], Objective] = cross_entropy,
) -> Score:
  """Score whose rise takes images to a class.

  An attack on it has succeeded where that class has the largest logit.

  Args:
    net: A net with a classifier.
    target: Class that images must get, one number or one per image.
    loss: Objective of a class that is lowered.

  Returns:
    A `Score` of two objectives: ``loss``, and ``goal``, above 0 at success.
  """
  return score(net, {'loss': -loss(target), 'goal': margin(target)})


def classify(net: Net, x: Array) -> tuple[Array, Acts]:
  """Logits and activations; raises a `ValueError` if there are no logits."""
  logits, acts = run_net(net, x)
  if logits is None:
    raise ValueError('net: got no logits, expected a network with a classifier')
  return logits, acts


def read(score: ScoreFn, x: Array) -> tuple[Array, Array]:
  """Loss and goal of images; any other score is both.

  Args:
    score: Of `mislead` or `lead`, or ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]``.

  Returns:
    Two arrays ``[...]``.

  Raises:
    ValueError: The score is neither.
  """
  y = score(x)
  if isinstance(y, Mapping):
    if set(y) != {'loss', 'goal'}:
      raise ValueError(
        f'score: got objectives {sorted(y)}, expected one, or loss and goal'
      )
    loss, goal = y['loss'], y['goal']
  else:
    loss = goal = y
  for value in (loss, goal):
    check_score(value, x)
  return loss, goal
