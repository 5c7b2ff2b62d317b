"""The scenes that training sees, as functions of the seed and the step."""

import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from vizlab.data.scenes import SHAPE_NAMES, Scene, scenes
from vizlab.types import Array

__all__ = ['batch', 'fixed_set', 'size_at']


def batch(config: ConfigDict, step: int) -> Scene:
  """The scenes of a step: a pure function of the seed and the step.

  They are fresh in every step, or drawn from one small set, which the net then
  learns by heart.
  """
  n = config.batch_size
  if config.fixed_scenes:
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    which = jax.random.choice(key, config.fixed_scenes, (n,))
    known = fixed_set(
      config.seed,
      config.fixed_scenes,
      size_at(config, step),
      config.random_labels,
    )
    return jax.tree.map(lambda v: v[which], known)
  two = round(n * config.two_objects)
  key = jax.random.fold_in(jax.random.key(config.seed), step)
  data = scenes(
    key,
    n,
    objects=jnp.where(jnp.arange(n) < n - two, 1, 2),
    size=size_at(config, step),
    correlation=config.correlation,
  )
  noise_key = jax.random.fold_in(key, n)  # scenes fold in 0 to n - 1
  return data._replace(image=_noisy(noise_key, data.image, config.noise))


@functools.lru_cache(maxsize=2)
def fixed_set(seed: int, n: int, size: int, random_labels: bool) -> Scene:
  """One set of one-object scenes, with their own labels or with random ones."""
  key = jax.random.key(seed)
  known = scenes(key, n, size=size)
  if not random_labels:
    return known
  drawn = jax.random.randint(
    jax.random.fold_in(key, n), (n,), 0, len(SHAPE_NAMES)
  )
  return known._replace(labels=known.labels.at[:, 0].set(drawn))


@jax.jit
def _noisy(key: Array, image: Array, most: float) -> Array:
  """Adds noise of another strength to every image.

  Scenes have none of their own, so without it nothing keeps the first kernels
  from being as rough as they please.
  """
  strength_key, noise_key = jax.random.split(key)
  strength = most * jax.random.uniform(strength_key, (len(image), 1, 1, 1))
  noise = jax.random.normal(noise_key, image.shape)
  return jnp.clip(image + strength * noise, 0, 1)


def size_at(config: ConfigDict, step: int) -> int:
  """Side of the images at a step, by the stages."""
  for size, steps in config.stages[:-1]:
    if step < steps:
      return size
    step -= steps
  return config.stages[-1][0]
