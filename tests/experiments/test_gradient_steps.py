"""Trainings by an optax optimizer, and the average of their weights."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vizlab.runs import experiments
from vizlab.runs.recorder import Recorder
from vizlab_experiments.shared.gradient_steps import fit

STEPS = 7


@pytest.fixture
def recorder(tmp_path):
  config = experiments.config_module('generate/chairs').get_test_config()
  opened = Recorder(tmp_path / 'run', config)
  opened.open()
  return opened


def loss_fn(trained, data):
  return jnp.square(trained['w'] - data).sum(), {}


def target(step):
  return np.float32([step, -step])


def path(rate=0.1):
  """The weights after each step of gradient descent."""
  w, found = np.float32([1, 2]), []
  for step in range(STEPS):
    w = w - rate * 2 * (w - target(step))
    found.append(w)
  return np.stack(found)


@pytest.mark.parametrize('ema', [0.0, 0.6, 0.99])
def test_the_result_is_the_average_of_the_weights(recorder, ema):
  done = fit(
    recorder,
    optax.sgd(0.1),
    loss_fn,
    {'w': jnp.array([1.0, 2.0])},
    target,
    steps=STEPS,
    milestones=(3,),
    ema=ema,
  )

  def average(count):
    weights = ema ** np.arange(count)[::-1]
    return weights @ path()[:count] / weights.sum()

  wanted = average if ema else lambda count: path()[count - 1]
  np.testing.assert_allclose(done.result['w'], wanted(STEPS), rtol=1e-5)
  np.testing.assert_allclose(done.milestones[3]['w'], wanted(3), rtol=1e-5)
  assert jax.tree.structure(done.result) == jax.tree.structure({'w': 0})
