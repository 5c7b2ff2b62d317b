"""Sparse dictionaries of a layer: a top-k autoencoder beside NMF and PCA."""

import functools
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import nets, probes, render
from vizlab.runs import plots
from vizlab.runs.inputs import load_net
from vizlab.runs.optimization import check
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import named, need_positive
from vizlab.runs.training import train_resumable
from vizlab.types import Array
from vizlab_experiments.shared.gradient_steps import gradient_step
from vizlab_experiments.shared.icons import check_icons, icon_problem, icons
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.methods import chosen_layer
from vizlab_experiments.shared.projections import patch

__all__ = ['prepare', 'run']

_TILE = 96
_HELD_OUT = 8  # one image of so many measures, and does not train


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  info: nets.LayerInfo
  images: Images


class State(NamedTuple):
  """State of the training.

  Attributes:
    dictionary: The dictionary.
    opt: State of the optimizer.
    idle: Steps for which each atom has been silent, int ``[D]``.
  """

  dictionary: probes.Dictionary
  opt: Any
  idle: Array


class Samples(NamedTuple):
  """Activations at random positions of the images, image by image.

  Attributes:
    acts: ``[N, C]``.
    positions: Row and column of each, ``[N, 2]``.
  """

  acts: np.ndarray
  positions: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  plots.need('sklearn', 'factorises the activations')
  need_positive(config, 'positions', 'atoms', 'active', 'factors', 'batch')
  need_positive(config, 'training_steps', 'training_batch', 'training_rate')
  need_positive(config, 'patience', 'shown', 'patches')
  check_icons(config)
  net = load_net(config)
  info = chosen_layer(config, net)
  images = load_images(config, net.spec.size)
  height, width, channels = info.shape
  training = config.positions * (len(images) - -(-len(images) // _HELD_OUT))
  for name, most, of in (
    ('active', min(config.atoms, channels), 'the atoms and the channels'),
    ('positions', height * width, 'the positions of the layer'),
    ('patches', len(images), 'the pictures'),
    ('shown', config.atoms, 'the atoms'),
    ('factors', channels, 'the channels'),
    ('factors', training, 'the samples to train with'),
    ('active', training, 'the samples to train with'),
  ):
    if config[name] > most:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected at most {of}, {most}'
      )
  if len(images) < _HELD_OUT:
    raise ValueError(
      f'config.scenes, config.photos: got {len(images)} pictures, expected at '
      f'least {_HELD_OUT}'
    )
  with named(x='size', shape='size'):
    check(*icon_problem(config, net, info.name, np.ones((1, channels))))
  return Inputs(config, net, info, images)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Learns the dictionary, measures it and draws its atoms."""
  config, net, info, images = inputs
  samples = Samples(
    **recorder.in_parts(
      'samples',
      len(images),
      config.batch,
      functools.partial(_sampled, inputs),
    )
  )
  samples = Samples(*(v.reshape(-1, v.shape[-1]) for v in samples))
  image_of = np.repeat(np.arange(len(images)), config.positions)
  held = image_of % _HELD_OUT == 0
  learned = _learn(config, recorder, samples.acts[~held])
  codes = np.asarray(
    jax.jit(probes.encode, static_argnums=2)(
      learned, samples.acts, config.active
    )
  )
  others = recorder.once(
    'others',
    functools.partial(_others, config, samples.acts[~held], samples.acts[held]),
  )
  back = np.asarray(probes.decode(learned, codes[held]))
  rows = {
    'autoencoder': (
      _explained(samples.acts[held], back),
      float((codes[held] > 0).sum(1).mean()),
      config.atoms,
    ),
    **{
      name: tuple(float(v) for v in others[name])
      for name in ('NMF', 'PCA', 'units')
    },
  }
  share = (codes > 0).mean(0)
  order = np.argsort(-share, kind='stable')
  energy = np.square(codes).mean(0)
  shown = np.argsort(-energy, kind='stable')[: config.shown]
  made = icons(
    recorder, 'icons', config, net, info.name, np.asarray(learned.atoms)[shown]
  )
  recorder.arrays(
    'dictionary',
    share=share,
    energy=energy,
    **{name: np.asarray(v) for name, v in learned._asdict().items()},
  )
  dead = int((share == 0).sum())
  recorder.report(
    f'Sparse dictionary of {info.name} of {net.arch}',
    f'{config.atoms} atoms, of which {config.active} at most are summed for '
    f'the activations at a position, learned from {config.positions} random '
    f'positions of {len(images)} pictures. On pictures that were held out '
    f'they explain {rows["autoencoder"][0]:.1%} of the variance; '
    + ('no atom is' if not dead else f'{dead} atoms are')
    + ' silent everywhere.',
    [
      Table(
        'explained',
        'Variance explained on held-out pictures, and how many numbers of a '
        'position are not zero on average',
        ['dictionary', 'explained', 'not zero', 'numbers'],
        [[name, *row] for name, row in rows.items()],
      ),
      _atoms(inputs, samples, image_of, codes[:, shown], shown, made),
      Figure(
        'shares',
        'Share of the positions at which each atom is active, sorted',
        plots.lines(
          {
            'atoms': (np.arange(1, len(share) + 1), share[order]),
            f'mean, {config.active} of {config.atoms}': (
              [1, len(share)],
              [config.active / config.atoms] * 2,
            ),
          },
          'atom',
          'share',
        ),
      ),
    ],
  )
  return {
    'dead': dead,
    **{f'explained/{name}': row[0] for name, row in rows.items()},
  }


def _sampled(inputs: Inputs, rows: slice) -> dict[str, np.ndarray]:
  config, net, info, images = inputs
  at = np.arange(rows.start, rows.stop)
  key = jax.random.key(config.seed)
  found = _at_random(net, images[rows], key, at, info.name, config.positions)
  return dict(zip(Samples._fields, map(np.asarray, found), strict=True))


@functools.partial(jax.jit, static_argnames=('layer', 'count'))
def _at_random(
  net: nets.Network, x: Array, key: Array, at: Array, layer: str, count: int
) -> tuple[Array, Array]:
  """Activations ``[B, count, C]`` and their positions ``[B, count, 2]``.

  Each image has positions of its own, whichever batch it is in.
  """
  _, acts = net(x)
  batch, height, width, channels = acts[layer].shape
  flat = acts[layer].reshape(batch, -1, channels)
  chosen = jax.vmap(
    lambda i: jax.random.permutation(
      jax.random.fold_in(key, i), height * width
    )[:count]
  )(at)
  own = jnp.take_along_axis(flat, chosen[..., None], 1)
  return own, jnp.stack([chosen // width, chosen % width], -1)


def _learn(
  config: ConfigDict, recorder: Recorder, acts: np.ndarray
) -> probes.Dictionary:
  """Trains a dictionary, in units of the activations' spread."""
  key = jax.random.key(config.seed)
  spread = np.sqrt(acts.var(0).sum())
  scale = np.float32(1 / spread if spread > 0 else 1)
  start = probes.new_dictionary(
    key, jnp.asarray(acts.mean(0) * scale), config.atoms
  )
  tx = optax.adam(config.training_rate)

  def batch(step: int) -> np.ndarray:
    chosen = jax.random.randint(
      jax.random.fold_in(key, step), (config.training_batch,), 0, len(acts)
    )
    return acts[np.asarray(chosen)] * scale

  def train_step(
    state: State, x: Array, step: Array
  ) -> tuple[State, dict[str, Array]]:
    del step

    def loss_fn(dictionary: probes.Dictionary) -> tuple[Array, Array]:
      loss, codes = probes.dictionary_loss(
        dictionary, x, active=config.active, dead=state.idle > config.patience
      )
      return loss.mean(), codes

    dictionary, opt, (loss, codes) = gradient_step(
      tx, loss_fn, state.dictionary, state.opt
    )
    idle = jnp.where((codes > 0).any(0), 0, state.idle + 1)
    state = State(probes.unit_atoms(dictionary), opt, idle)
    dead = (idle > config.patience).mean(dtype=jnp.float32)
    return state, {'loss': loss, 'dead': dead}

  idle = jnp.zeros(config.atoms, jnp.int32)
  learned = train_resumable(
    recorder,
    'training',
    train_step,
    State(start, tx.init(start), idle),
    batch,
    steps=config.training_steps,
    keep=lambda state: state.dictionary,
    log_every=100,
  ).result
  # Back to the activations' own scale: the atoms keep their length of 1.
  return learned._replace(
    bias=learned.bias / scale, centre=learned.centre / scale
  )


def _others(
  config: ConfigDict, acts: np.ndarray, held: np.ndarray
) -> dict[str, np.ndarray]:
  """Explained variance, numbers and size of other dictionaries."""
  from sklearn.decomposition import PCA, MiniBatchNMF
  from sklearn.exceptions import ConvergenceWarning

  positive, held_positive = (np.maximum(v, 0) for v in (acts, held))
  nmf = MiniBatchNMF(
    config.factors, init='nndsvda', random_state=config.seed, max_iter=100
  )
  with warnings.catch_warnings():
    # Early stopping is fine for a baseline: its explained variance is shown.
    warnings.simplefilter('ignore', ConvergenceWarning)
    nmf.fit(positive)
    codes = nmf.transform(held_positive)
  used = config.active
  pca = PCA(used, random_state=config.seed).fit(acts)
  mean = acts.mean(0)
  away = held - mean
  largest = np.argsort(-np.abs(away), 1, kind='stable')[:, :used]
  kept = np.zeros_like(away)
  np.put_along_axis(kept, largest, np.take_along_axis(away, largest, 1), 1)
  return {
    'NMF': np.array(
      [
        _explained(held, codes @ nmf.components_),
        (codes > 1e-6 * codes.max()).sum(1).mean(),
        config.factors,
      ]
    ),
    'PCA': np.array(
      [
        _explained(held, pca.inverse_transform(pca.transform(held))),
        used,
        used,
      ]
    ),
    'units': np.array([_explained(held, mean + kept), used, acts.shape[1]]),
  }


def _explained(x: np.ndarray, back: np.ndarray) -> float:
  """Share of the variance of activations that a reconstruction explains."""
  total = np.square(x - x.mean(0)).sum()
  return float(1 - np.square(x - back).sum() / (total if total > 0 else 1))


def _atoms(
  inputs: Inputs,
  samples: Samples,
  image_of: np.ndarray,
  codes: np.ndarray,
  shown: np.ndarray,
  made: np.ndarray,
) -> Figure:
  """A row for each atom: its image, and the patches that need most of it."""
  config, _, info, images = inputs
  rows = []
  for strength, icon in zip(codes.T, made, strict=True):
    ranked = np.argsort(-strength, kind='stable')
    # The strongest position of each image, in the order of their strength.
    _, first = np.unique(image_of[ranked], return_index=True)
    row = [icon]
    for i in ranked[np.sort(first)[: config.patches]]:
      picture = render.to_uint8(images[int(image_of[i])])
      row.append(patch(picture, info.field, samples.positions[i]))
    rows.append([render.resize(picture, _TILE) for picture in row])
  return Figure(
    'atoms',
    'The atoms that add most, the strongest first: an image in the direction '
    'of each, and the patches to which it adds most; grey lies outside of the '
    'picture',
    render.table(
      rows,
      ['atom', *([''] * config.patches)],
      [f'atom {k}' for k in shown],
      _TILE,
      PAGE,
    ),
  )
