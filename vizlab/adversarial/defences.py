"""Defences: answers from changed images, and doubt of answers.

A defence seems to be strong as long as the attack does not know of it: judge it
by an attack on `aware` (Carlini & Wagner 2017; Athalye, Carlini & Wagner 2018).
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vizlab.adversarial.attacked import amount, check_range
from vizlab.adversarial.goals import classify, lead, mislead
from vizlab.lookup import check_name
from vizlab.objectives.base import check_score
from vizlab.objectives.contract import run_net
from vizlab.trees import as_pytree
from vizlab.types import Acts, Array, Augment, Edits, Net, ScoreFn, whole

__all__ = [
  'Defence',
  'averaged',
  'aware',
  'behind',
  'fit_heads',
  'heads_doubt',
  'squeezing_doubt',
  'withstood',
]


class Defence(NamedTuple):
  """A network, and when its answers are refused; a pytree.

  Attributes:
    net: Network with a classifier, which answers.
    doubt: ``[..., H, W, C] -> [...]``, how odd an image is; ``None`` if no
      answer is refused. A function of your own must be a pytree.
    limit: Answers with more doubt are refused.
    views: Networks whose agreement with ``net`` the doubt measures, if it does;
      an attack that knows misleads them all alike.
  """

  net: Net
  doubt: ScoreFn | None = None
  limit: float | Array = jnp.inf
  views: tuple[Net, ...] = ()


def withstood(defence: Defence, x: Array, label: int | Array) -> Array:
  """Images that are classified rightly or refused: bool ``[...]``.

  An answer is right where the logit of the class is above all others, so
  neither where logits are NaN nor where they are equal.

  Args:
    defence: The defence.
    x: Images ``[..., H, W, C]`` in [0, 1].
    label: Their classes, one number or one per image.
  """
  right = mislead(defence.net, label)(x)['goal'] < 0
  return right | (_excess(defence, x) > 0)


def aware(
  defence: Defence, label: int | Array, target: int | Array | None = None
) -> ScoreFn:
  r"""Score of an attack that knows the defence; any attack takes it.

  With views its loss is their mean cross entropy. With a doubt ``d`` alone it
  first makes the answer wrong, and then lowers the doubt:

  .. math::
    \begin{cases} -\log p_y(x) & \text{where the answer is right} \\
    \log K + 1 / (1 + \max(d(x) - \text{limit}, 0))
    & \text{where it is wrong} \end{cases}

  It succeeds where the answer is wrong and not refused.

  Args:
    defence: The defence. Of randomness give `vizlab.adversarial.pgd` the
      ``augment``, too.
    label: Class of the images, one number or one per image.
    target: Class that they are led to, such as the second most probable; any
      other by default. Take the worse of both.

  Reference:
    Athalye, Carlini & Wagner 2018, section 5; Bryniarski et al. 2022, section
    4, the selective form.
  """
  return Partial(_aware, defence, label, target)


def _aware(
  defence: Defence, label: Array, target: Array | None, x: Array
) -> dict[str, Array]:
  def loss(net: Net) -> Array:
    goal = mislead(net, label) if target is None else lead(net, target)
    return goal(x)['loss']

  wrong = mislead(defence.net, label)(x)['goal']
  losses = [loss(net) for net in (defence.net, *defence.views)]
  value = sum(losses[1:], start=losses[0]) / len(losses)
  if defence.doubt is None:
    return {'loss': value, 'goal': wrong}
  excess = _excess(defence, x)
  if not defence.views:
    logits = jax.eval_shape(lambda x: classify(defence.net, x)[0], x)
    # Of a right answer the cross entropy is at most log K.
    most = np.log(logits.shape[-1]).astype(x.dtype)
    hidden = most + 1 / (1 + jnp.maximum(excess, 0))
    value = jnp.where(wrong > 0, hidden, value)
  # Attacks that climb the goal have a slope where an answer is refused.
  goal = jnp.where(excess > 0, jnp.minimum(wrong, -excess), wrong)
  return {'loss': value, 'goal': goal}


def _excess(defence: Defence, x: Array) -> Array:
  """Doubt beyond the limit: above 0 where an answer is refused."""
  if defence.doubt is None:
    return jnp.full(x.shape[:-3], -jnp.inf, x.dtype)
  doubt = defence.doubt(x)
  check_score(doubt, x, 'doubt')
  # Doubt that is not a number refuses.
  excess = doubt - jnp.asarray(defence.limit, doubt.dtype)
  return jnp.where(jnp.isnan(doubt), jnp.inf, excess)


def behind(change: Any, net: Net) -> Net:
  """Network that sees images only after a change.

  Args:
    change: ``[..., H, W, C] -> [..., H, W, C]``, such as `vizlab.image.median`.
    net: The network.

  >>> import jax.numpy as jnp
  >>> from vizlab import adversarial, image, nets
  >>> net = adversarial.behind(image.median, nets.load('minivgg'))
  >>> net(jnp.full((96, 96, 3), 0.5))[0].shape
  (16,)
  """
  return Partial(_behind, as_pytree(change), as_pytree(net))


def _behind(
  change: Any, net: Net, x: Array, edits: Edits | None = None
) -> tuple[Array | None, Acts]:
  seen = change(x)
  if seen.shape != x.shape:
    raise ValueError(f'change: gave shape {seen.shape}, expected {x.shape}')
  return run_net(net, seen, edits)


def averaged(net: Net, augment: Augment, key: Array, draws: int = 8) -> Net:
  """Network that answers by its mean probabilities over random changes.

  An attack that knows does not know the key: give `vizlab.adversarial.pgd` the
  network itself and the ``augment``.

  Args:
    net: A network with a classifier.
    augment: ``(key, image) -> image``, such as noise.
    key: A JAX random key; all images get the same random numbers.
    draws: Number of draws of the augment.

  Returns:
    A network without activations, whose logits are logarithms of probabilities.
  """
  draws = whole(draws, 'draws')
  keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(draws))
  return Partial(_averaged, as_pytree(net), as_pytree(augment), keys)


def _averaged(
  net: Net, augment: Augment, keys: Array, x: Array, edits: Edits | None = None
) -> tuple[Array, Acts]:
  if edits:
    raise ValueError('edits: got some, but a mean has no activations')

  def one(key: Array) -> Array:
    return jax.nn.log_softmax(classify(net, augment(key, x))[0])

  each = jax.lax.map(one, keys)
  return jax.nn.logsumexp(each, 0) - np.log(len(keys)).astype(each.dtype), {}


def squeezing_doubt(net: Net, changes: Iterable[Any]) -> ScoreFn:
  r"""Doubt: how much simple changes of an image change the answer.

  .. math:: \max_i \| p(x) - p(c_i(x)) \|_1

  Args:
    net: A network with a classifier.
    changes: Functions ``[..., H, W, C] -> [..., H, W, C]`` that leave what is
      seen as it is.

  Returns:
    ``[..., H, W, C] -> [...]``, 0 to 2.

  Reference:
    Xu, Evans & Qi 2018, section V.
  """
  others = tuple(behind(change, net) for change in changes)
  if not others:
    raise ValueError('changes: got none, expected at least one function')
  return Partial(_apart, as_pytree(net), others)


def _apart(net: Net, others: tuple[Net, ...], x: Array) -> Array:
  p = jax.nn.softmax(classify(net, x)[0])
  apart = [
    jnp.abs(jax.nn.softmax(classify(other, x)[0]) - p).sum(-1)
    for other in others
  ]
  return jnp.stack(apart).max(0)


def fit_heads(
  net: Net,
  layers: Iterable[str],
  x: Array,
  *,
  ridge: float | Array = 1e-2,
  chunk: int = 32,
) -> dict[str, Array]:
  r"""Fits a linear classifier to each layer, which repeats the net's answers.

  It reads the mean over positions of each channel, standardised over ``x``, and
  is the ridge regression of the answers, as vectors of one 1.

  Args:
    net: A network with a classifier.
    layers: Names of layers.
    x: Images ``[N, H, W, C]`` without an attack; they need no labels.
    ridge: Weight of the squared coefficients, in units of ``N``.
    chunk: Images at once.

  Returns:
    ``{layer: [C + 1, K]}``; the last row is the constant.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], a layer is
      unknown, or a number is wrong.
  """
  check_range(x)
  if x.ndim != 4:
    raise ValueError(f'x: got shape {x.shape}, expected [N, H, W, C]')
  ridge, layers = amount(ridge, 'ridge', x), tuple(layers)
  if not layers:
    raise ValueError('layers: got none, expected names of layers')
  net, chunk = as_pytree(net), whole(chunk, 'chunk')
  _, acts = jax.eval_shape(classify, net, x[:1])
  for name in layers:
    check_name('layers', name, acts)
  parts = [
    _features(net, jnp.asarray(x[i : i + chunk]), layers)
    for i in range(0, len(x), chunk)
  ]
  answers, features = jax.tree.map(lambda *rows: jnp.concatenate(rows), *parts)
  return {name: _head(features[name], answers, ridge) for name in layers}


@functools.partial(jax.jit, static_argnames='layers')
def _features(
  net: Net, x: Array, layers: tuple[str, ...]
) -> tuple[Array, dict[str, Array]]:
  """Answers ``[N, K]`` and features ``[N, C]`` of each layer."""
  logits, acts = classify(net, x)
  answers = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=x.dtype)
  return answers, {name: _pooled(acts[name], x.shape[:1]) for name in layers}


def _head(features: Array, answers: Array, ridge: Array) -> Array:
  mean, deviation = features.mean(0), features.std(0)
  scale = 1 / jnp.where(deviation > 0, deviation, 1)
  z = (features - mean[None]) * scale[None]
  offset = answers.mean(0)
  n, c = z.shape
  gram = jnp.matmul(z.T, z, precision='highest') / n + ridge * jnp.eye(
    c, dtype=z.dtype
  )
  right = jnp.matmul(z.T, answers - offset[None], precision='highest') / n
  weights = jnp.linalg.solve(gram, right) * scale[:, None]
  return jnp.concatenate([weights, (offset - mean @ weights)[None]])


def heads_doubt(net: Net, heads: Mapping[str, Array]) -> ScoreFn:
  """Doubt: how far classifiers of earlier layers prefer another class.

  The mean over the layers of the largest value that a head gives to a class,
  less that of the class which the network answers.

  Args:
    net: The network of `fit_heads`.
    heads: ``{layer: [C + 1, K]}``.

  Returns:
    ``[..., H, W, C] -> [...]``, 0 where all layers agree.
  """
  return Partial(_disagreement, as_pytree(net), dict(heads))


def _disagreement(net: Net, heads: dict[str, Array], x: Array) -> Array:
  logits, acts = classify(net, x)
  answer = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=x.dtype)
  apart = []
  for name, head in heads.items():
    features = _pooled(acts[name], x.shape[:-3])
    values = features @ head[:-1] + jnp.expand_dims(
      head[-1], range(features.ndim - 1)
    )
    apart.append(values.max(-1) - (values * answer).sum(-1))
  return jnp.stack(apart).mean(0)


def _pooled(act: Array, batch: tuple[int, ...]) -> Array:
  """Means over the positions of a map; a vector as it is: ``[..., C]``."""
  return act.mean(tuple(range(len(batch), act.ndim - 1)))
