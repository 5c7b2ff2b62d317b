import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import read, start, stops_of_the_same

from vizlab import generate, io, nets, style
from vizlab.runs.reader import read_metrics

NAME = 'generate/texture_network'


def test_the_network_learns_to_lower_the_loss(tmp_path):
  results = start(NAME, tmp_path, steps=60, compare=20)
  rows = [row['training/style'] for row in read_metrics(tmp_path)]
  assert rows[-1] < 0.7 * rows[0]
  found = read(tmp_path, 'network')
  assert found['images'].shape == (4, 32, 32, 3)
  assert found['larger'].shape == (64, 64, 3)
  # The loss, by hand: that of noise is 1.
  seeing = nets.load('minivgg', pool='avg')
  example = jnp.asarray(io.read_image('sample:swirls', shorter=48))
  layers = ('relu1_1', 'relu2_1')
  noise = jax.random.uniform(jax.random.key(0), (4, 32, 32, 3))
  shares = []
  for layer in layers:
    loss = style.style_loss(seeing, example, [layer])
    of_ours, of_noise = (
      loss(*seeing(jnp.asarray(x))).mean() for x in (found['images'], noise)
    )
    shares.append(float(of_ours / of_noise))
  assert results['loss'] == pytest.approx(np.mean(shares), rel=1e-3)
  apart = np.exp(generate.diversity(jnp.asarray(found['images'])))
  assert results['apart'] == pytest.approx(float(apart), rel=1e-4)
  assert results['optimized loss'] < 1
  net = nets.load(tmp_path / 'texture.safetensors')
  assert nets.param_count(net) == results['parameters']
  made = net(jax.random.uniform(jax.random.key(3), (32, 40, 6)))[1]['image']
  assert made.shape == (32, 40, 3)


def test_diversity_keeps_textures_apart(tmp_path):
  settings = {'steps': 12, 'learning_rate': 0.03, 'compare': 0}
  apart = [
    start(NAME, tmp_path / str(weight), diversity=weight, **settings)['apart']
    for weight in (0.0, 30.0)
  ]
  assert apart[1] > 1.1 * apart[0]


def test_a_stopped_one_ends_the_same(tmp_path, monkeypatch):
  stops = stops_of_the_same(
    NAME, tmp_path, monkeypatch, weights='texture.safetensors'
  )
  assert stops > 1


def test_textures_are_large_enough_for_the_network(tmp_path):
  nets.save(
    nets.create('squeezenet11', classifier=False), tmp_path / 'net.safetensors'
  )
  net = {'weights': str(tmp_path / 'net.safetensors')}
  settings = {'net': net, 'layers': 'relu_conv1', 'size': 16, 'scales': 1}
  with pytest.raises(ValueError, match='config.size: got images of 16x16'):
    start(NAME, tmp_path / 'run', **settings)
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'size': 33}, 'config.size: got 33, expected a multiple of 2'),
    ({'size': 8}, 'config.size: got 8, .* from 16'),
    ({'scales': 0}, 'config.scales: got 0'),
    ({'batch_size': 1}, 'config.batch_size: got 1, expected at least 2'),
    ({'layers': 'fc'}, "config.layers: 'fc' gives a vector"),
    ({'layers': 'relu9'}, "config.layers: got 'relu9'"),
    ({'layers': ''}, 'config.layers: got none'),
    ({'image': 'no.png'}, 'config.image: no such file'),
    ({'example_size': 1}, 'config.example_size: got'),
    ({'diversity': float('nan')}, 'config.diversity: got nan'),
    ({'learning_rate': 0.0}, 'config.learning_rate: got 0.0'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start(NAME, tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
