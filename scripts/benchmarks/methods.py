"""Tasks of the benchmark in vizlab."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks import baselines, timing
from vizlab import adversarial, attribution, optimize, synthesis
from vizlab.data import scenes
from vizlab.nets.incremental import regions
from vizlab.objectives import Score, channel, score
from vizlab.types import Array

__all__ = ['contenders', 'note', 'of_vizlab']

OURS, WHOLE = 'vizlab', 'vizlab, whole images'
STEPS = 'vizlab, step by step'


def of_vizlab(
  work: baselines.Work,
) -> dict[str, Callable[[Score, Array], Any]]:
  """Tasks in vizlab, as functions of a score and images."""
  bind = functools.partial
  many = {'chunk': work.chunk}
  noisy = {'key': jax.random.key(0), 'sigma': work.sigma}
  window = {'patch': work.patch, 'stride': work.stride, 'fill': 0.0}
  layer = {'layer': work.layer}
  return {
    'forward': lambda score_fn, x: score_fn.net(x)[0],
    'saliency': attribution.saliency,
    'gradient_x_input': attribution.gradient_x_input,
    'guided_backprop': attribution.guided_backprop,
    'deconvnet': bind(attribution.deconvnet, seed=1.0),
    'grad_cam': bind(attribution.grad_cam, **layer),
    'guided_grad_cam': bind(attribution.guided_grad_cam, **layer),
    'grad_cam_pp': bind(attribution.grad_cam_pp, **layer),
    'hires_cam': bind(attribution.hires_cam, **layer),
    'layer_cam': bind(attribution.layer_cam, **layer),
    'fullgrad': attribution.fullgrad,
    'lrp': attribution.lrp,
    'smoothgrad': bind(
      attribution.smoothgrad, samples=work.samples, **noisy, **many
    ),
    'integrated_gradients': bind(
      attribution.integrated_gradients, steps=work.samples, **many
    ),
    'score_cam': bind(attribution.score_cam, **layer, **many),
    'occlusion': bind(attribution.occlusion, **window, **many),
    'ascent': bind(ascent, work),
    'pgd': bind(attack, work),
    # The seed is an argument: the compiler could evaluate a constant.
    'scenes': lambda score_fn, x: scenes(
      jax.random.key(score_fn.objective.target), 256
    ),
  }


def ascent(work: baselines.Work, score_fn: Score, x: Array) -> Array:
  """Runs a few steps of feature visualization on pixels."""
  channel_score = score(score_fn.net, channel(work.excited, 7))
  image, optimizer = synthesis.pixels(x), optimize.adam(work.rate)
  progress = optimize.run(
    channel_score,
    image,
    jax.random.key(0),
    steps=work.steps,
    chunk=work.steps,
    optimizer=optimizer,
  )
  return optimize.final(progress).image


def attack(work: baselines.Work, score_fn: Score, x: Array) -> Array:
  """Attacks images by projected gradient descent."""
  return adversarial.pgd(
    adversarial.mislead(score_fn.net, score_fn.objective.target),
    jnp.clip(x, 0, 1),
    jax.random.key(0),
    epsilon=work.epsilon,
    steps=work.attack_steps,
    random_start=False,
  ).raw


def step_by_step(
  work: baselines.Work, score_fn: Score, x: Array
) -> timing.Contender:
  """Runs the steps of `ascent` without the loop, to measure its overhead."""
  channel_score, tx = (
    score(score_fn.net, channel(work.excited, 7)),
    optax.adam(work.rate),
  )

  def step(channel_score: Score, x: Array, state: Any) -> tuple[Array, Any]:
    grad = jax.grad(lambda x: -channel_score(x).sum())(x)
    updates, state = tx.update(grad, state)
    return optax.apply_updates(x, updates), state

  first = tx.init(x)
  run = jax.jit(step).lower(channel_score, x, first).compile()

  def call() -> Array:
    image, state = x, first
    for _ in range(work.steps):
      image, state = run(channel_score, image, state)
    return image

  return timing.called(call)


def contenders(
  name: str, fn: Callable, score_fn: Score, x: Array
) -> dict[str, timing.Contender]:
  """Contenders of vizlab for a task."""
  if name == 'ascent':
    return {
      OURS: timing.called(lambda: fn(score_fn, x)),
      STEPS: step_by_step(fn.args[0], score_fn, x),
    }
  made = {OURS: timing.compiled(fn, score_fn, x)}
  if name == 'occlusion':
    # In a plain function, occlusion does not see the network.
    made[WHOLE] = timing.compiled(
      lambda score_fn, x: fn(lambda seen: score_fn(seen), x), score_fn, x
    )
  return made


def note(name: str, score_fn: Score, x: Array, work: baselines.Work) -> str:
  """Remark on the ratios of a task, or ''."""
  if name == 'occlusion':
    occluder = attribution.Occluder(work.patch, work.stride)
    spans = occluder.spans(x.shape[-3])
    boxes = [(row, column) for row in spans for column in spans]
    ops, shape = score_fn.net.ops, x.shape[-3:]
    plan = regions.plan(ops, shape, *zip(*boxes, strict=True))
    count = functools.partial(regions.multiplications, ops, shape)
    return (
      f'{len(boxes)} positions; whole images take '
      f'{count() / count(plan):.2f} times as many multiplications'
    )
  if name == 'score_cam':
    read = jax.jit(lambda score_fn, x: score_fn.net(x)[1][work.layer])
    a = read(score_fn, x)
    marks = (a.max((-3, -2)) > a.min((-3, -2))).any(0)
    return f'{marks.sum()} of {marks.size} maps are not constant, and are run'
  if name == 'fullgrad':
    return (
      'vizlab scales the maps of a layer jointly, pytorch-grad-cam separately'
    )
  return ''
