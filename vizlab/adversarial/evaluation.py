"""Robust accuracy: the worst case over attacks that complement each other."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vizlab.adversarial.apgd import apgd
from vizlab.adversarial.attacked import Attacked, check_attack
from vizlab.adversarial.goals import mislead
from vizlab.adversarial.nearest import fmn
from vizlab.adversarial.pgd import pgd
from vizlab.adversarial.slopes import slope
from vizlab.adversarial.square import square
from vizlab.objectives import dlr, margin, score
from vizlab.trees import as_pytree
from vizlab.types import Acts, Array, Edits, Net, whole

__all__ = ['RobustAccuracy', 'Trial', 'robust_accuracy', 'summary', 'trial']

BLACK_BOX = 'square'
_UNBOUNDED_STEPS = 40
# By how much two answers differ that are the same but for the order of sums, as
# a share of the largest logit.
_SAME = 1e-5


class Trial(NamedTuple):
  """Attacks that images withstand, and what is odd about the net.

  Attributes:
    right: bool ``[B]``, whether the label has the largest logit, and alone, for
      the image as it is.
    broken: By name of the attack, bool ``[E, B]``: whether it succeeds.
    queries: Likewise, int32 ``[E, B]``: how often it shows the net an image.
    flat: bool ``[B]``, whether the gradient at the image is zero.
    unbounded: bool ``[B]``, whether the net is still right when the image may
      become any other.
    undefined: bool ``[B]``, whether its logits are not finite.
    random: bool ``[B]``, whether it says another thing when it sees the image
      again, as a net that calls back to Python can.
  """

  right: Array
  broken: dict[str, Array]
  queries: dict[str, Array]
  flat: Array
  unbounded: Array
  undefined: Array
  random: Array


class RobustAccuracy(NamedTuple):
  """Accuracy without and with attacks.

  Attributes:
    clean: Share of images about which the net is right.
    robust: Share about which it is right whatever attack there is, ``[E]``.
    by_attack: The same for each attack by itself, ``[E]``.
    warnings: Why the figures may promise too much; empty if nothing is odd.
  """

  clean: float
  robust: np.ndarray
  by_attack: dict[str, np.ndarray]
  warnings: tuple[str, ...]


def trial(
  net: Net,
  x: Array,
  label: int | Array,
  key: Array,
  *,
  epsilon: Sequence[float] | Array,
  norm: str = 'linf',
  steps: int = 100,
  targets: int = 3,
  squares: int = 500,
  chunk: int = 64,
) -> Trial:
  """Attacks images in several ways; pure.

  `apgd` on the cross entropy; `apgd` on the difference of logits ratio towards
  each of the most probable other classes, of four classes or more; `fmn`; and
  `square`.

  Args:
    net: A net with a classifier.
    x: Images ``[B, H, W, C]`` in [0, 1].
    label: Their classes, one number or ``[B]``.
    key: A JAX random key.
    epsilon: Radii ``[E]`` in intensities.
    norm: ``'linf'`` or ``'l2'``.
    steps: Of the attacks by gradients.
    targets: Other classes that are aimed at.
    squares: Steps of the attack by squares.
    chunk: Images attacked at once, but at least the whole batch for one
      epsilon.

  Returns:
    A `Trial`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the net has no
      such class, or a number or the norm is wrong.

  Reference:
    Croce & Hein 2020 (AutoAttack), whose FAB is replaced by FMN.
  """
  score_fn = mislead(net, label)
  epsilon = check_attack(score_fn, x, epsilon, norm, ('linf', 'l2'))
  if epsilon.ndim != 1 or x.ndim != 4:
    raise ValueError(
      f'epsilon, x: got shapes {epsilon.shape} and {x.shape}, expected '
      '[E] and [B, H, W, C]'
    )
  label = jnp.broadcast_to(jnp.asarray(label), x.shape[:1])
  fixed = (
    norm,
    whole(steps, 'steps'),
    whole(targets, 'targets'),
    whole(squares, 'squares'),
    chunk,
  )
  return _trial(as_pytree(net), x, label, key, epsilon, fixed)


@functools.partial(jax.jit, static_argnames='fixed')
def _trial(
  net: Net,
  x: Array,
  label: Array,
  key: Array,
  epsilon: Array,
  fixed: tuple[str, int, int, int, int],
) -> Trial:
  norm, steps, targets, squares, chunk = fixed
  net = Partial(_with_slope, net)
  score_fn = mislead(net, label)
  logits = net(x)[0]
  own = jax.nn.one_hot(label, logits.shape[-1], dtype=bool)
  count = min(targets, logits.shape[-1] - 1)
  others = jax.lax.top_k(jnp.where(own, -jnp.inf, logits), count)[1]
  settings = {'epsilon': epsilon, 'norm': norm, 'chunk': chunk}

  def towards(i: Array) -> Attacked:
    loss = dlr(label, jnp.take(others, i, axis=-1))
    each = score(net, {'loss': loss, 'goal': -margin(label)})
    return apgd(each, x, key, steps=steps, stop=True, **settings)

  attacks = {'apgd': apgd(score_fn, x, key, steps=steps, stop=True, **settings)}
  if logits.shape[-1] >= 4:
    aimed = jax.lax.map(towards, jnp.arange(count))
    attacks['apgd_targeted'] = aimed._replace(
      success=aimed.success.any(0), queries=aimed.queries.sum(0)
    )
  attacks['fmn'] = fmn(score_fn, x, steps=steps, **settings)
  attacks[BLACK_BOX] = square(score_fn, x, key, steps=squares, **settings)
  largest = 1.0 if norm == 'linf' else math.sqrt(math.prod(x.shape[-3:]))
  free = pgd(
    score_fn,
    x,
    key,
    epsilon=largest,
    norm=norm,
    steps=_UNBOUNDED_STEPS,
    stop=True,
  )
  _, goal, g = slope(score_fn, x)
  # In a loop, as the compiler takes two equal calls for one.
  twice = jax.lax.map(lambda x: net(x)[0], jnp.stack([x, x]))
  return Trial(
    goal < 0,  # neither where logits are NaN nor where all are equal
    {name: each.success for name, each in attacks.items()},
    {name: each.queries for name, each in attacks.items()},
    (g == 0).all((-3, -2, -1)),
    ~free.success,
    ~jnp.isfinite(logits).all(-1),
    (jnp.abs(twice[0] - twice[1]) > _SAME * jnp.abs(twice).max()).any(-1),
  )


def _with_slope(
  net: Net, x: Array, edits: Edits | None = None
) -> tuple[Array, Acts]:
  """A net whose gradient is zero where it has none: a warning, no error."""
  logits, acts = net(x, edits)
  return logits + 0 * x.mean((-3, -2, -1))[..., None], acts


def summary(result: Trial, epsilon: Sequence[float]) -> RobustAccuracy:
  """Accuracies and warnings of a `Trial`, of any number of images.

  An image that is broken within a ball is broken within every larger one.

  Args:
    result: Arrays of NumPy or JAX.
    epsilon: The radii.
  """
  right = np.asarray(result.right)
  order = np.argsort(epsilon)
  broken = {}
  for name, each in result.broken.items():
    rising = np.logical_or.accumulate(np.asarray(each)[order])
    broken[name] = rising[np.argsort(order)]
  worst = np.any(list(broken.values()), 0)

  def accuracy(broken: np.ndarray) -> np.ndarray:
    return (right & ~broken).mean(-1)

  return RobustAccuracy(
    float(right.mean()),
    accuracy(worst),
    {name: accuracy(each) for name, each in broken.items()},
    tuple(_warnings(result, right, broken)),
  )


def _warnings(
  result: Trial, right: np.ndarray, broken: dict[str, np.ndarray]
) -> list[str]:
  warnings = []

  def warn(images: np.ndarray, text: str) -> None:
    count = int((np.asarray(images) & right).sum())
    if count:
      warnings.append(f'{text} at {count} of {int(right.sum())} images')

  undefined = int(np.asarray(result.undefined).sum())
  if undefined:
    warnings.append(f'logits are not finite at {undefined} images')
  warn(
    result.flat,
    'the gradient of the cross entropy is zero, so that attacks that climb it '
    'cannot work,',
  )
  warn(result.random, 'the net does not say the same thing twice')
  warn(
    result.unbounded,
    'the net is still right when the image may become any other',
  )
  if BLACK_BOX in broken:
    white = np.any([v for k, v in broken.items() if k != BLACK_BOX], 0)
    only = (broken[BLACK_BOX] & ~white).any(0)
    warn(only, 'an attack that reads no gradient succeeds, and no other does,')
  return warnings


def robust_accuracy(
  net: Net,
  x: Array,
  label: Array,
  key: Array,
  *,
  epsilon: Sequence[float],
  norm: str = 'linf',
  batch: int = 64,
  steps: int = 100,
  targets: int = 3,
  squares: int = 500,
  chunk: int = 64,
) -> RobustAccuracy:
  """Accuracy in the worst case over the attacks of `trial`, with warnings.

  `experiments/adversarial/robustness` keeps each batch, and resumes.

  Args:
    net: A net with a classifier.
    x: Images ``[N, H, W, C]`` in [0, 1].
    label: Their classes ``[N]``.
    key: A JAX random key; the result does not depend on ``batch``.
    epsilon: Radii ``[E]`` in intensities; 0 gives the clean accuracy.
    norm: ``'linf'`` or ``'l2'``.
    batch: Images in a batch.
    steps: Of the attacks by gradients.
    targets: Other classes that are aimed at.
    squares: Steps of the attack by squares.
    chunk: Images attacked at once, but at least a batch for one epsilon.

  Returns:
    A `RobustAccuracy`. Empirical: stronger attacks may find more.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the labels are
      not one per image or not classes of the net, or a number or the norm is
      wrong.

  Reference:
    Croce & Hein 2020; Carlini et al. 2019 (what makes an evaluation doubtful).
  """
  if jnp.shape(label) != x.shape[:1]:
    raise ValueError(
      f'label: got shape {jnp.shape(label)}, expected one per image, '
      f'{x.shape[:1]}'
    )
  check_attack(mislead(net, label), x, epsilon, norm, ('linf', 'l2'))
  batch = min(whole(batch, 'batch'), len(x))
  batches = []
  for first in range(0, len(x), batch):
    at = np.arange(first, first + batch) % len(x)  # one shape, one program
    each = trial(
      net, x[at], label[at], key, epsilon=epsilon, norm=norm, steps=steps,
      targets=targets, squares=squares, chunk=chunk,
    )  # fmt: skip
    count = min(batch, len(x) - first)
    batches.append(
      jax.tree.map(lambda v, n=count: np.asarray(v)[..., :n], each)
    )
  joined = jax.tree.map(lambda *v: np.concatenate(v, -1), *batches)
  return summary(joined, epsilon)
