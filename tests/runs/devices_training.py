"""Trains a small net on all devices; a program of its own.

The number of devices is set when JAX starts. The folder of the run and the
number of devices are its arguments.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from vizlab import nets
from vizlab.runs.recorder import Recorder
from vizlab.runs.training import train_resumable


def main(path, devices):
  assert jax.local_device_count() == devices
  recorder = Recorder(path, ConfigDict({'experiment': 'of_devices'}))
  recorder.open()
  net = nets.create('minivgg')
  tx = optax.sgd(0.03)

  def batch(step):
    key = jax.random.fold_in(jax.random.key(0), step)
    return jax.random.uniform(key, (16, 24, 24, 3)), jnp.arange(16), key

  def train_step(params, data, step):
    x, labels, key = data
    noisy = x + 0.1 * jax.random.normal(key, x.shape)

    def loss_fn(params):
      logits = nets.with_params(net, params)(noisy)[0]
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      return losses.mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, _ = tx.update(grads, tx.init(params))
    return optax.apply_updates(params, updates), {'loss': loss}

  spread = []

  def keep(params):
    leaf = jax.tree.leaves(params)[0]
    if not isinstance(leaf, jax.core.Tracer):
      spread.append(leaf.sharding)
    return params

  start = nets.get_params(net)
  train_resumable(recorder, 'net', train_step, start, batch, steps=3, keep=keep)
  assert len(spread[0].device_set) == devices


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
