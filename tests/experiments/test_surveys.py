import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from vizlab import nets
from vizlab.runs import Recorder
from vizlab_experiments.shared.images import of_scenes
from vizlab_experiments.shared.surveys import rectified, survey


def test_concatenations_of_relus_count_as_rectified():
  net = nets.create('googlenet', classifier=False)
  found = rectified(net)
  assert {'conv1/relu_7x7', 'inception_5b/output'} <= found
  assert not {'conv1/7x7_s2', 'pool1/3x3_s2', 'pool1/norm1'} & found


def test_layers_come_as_asked_and_nan_is_one_line(tmp_path):
  recorder = Recorder(tmp_path, ConfigDict({'experiment': 'x'}))
  recorder.open()
  net, images = nets.load('minivgg'), of_scenes(0, 6, 96)
  layers = ['relu3_1', 'gap', 'conv2_1']
  found = survey(recorder, net, layers, images, top=2, batch=3)
  assert list(found) == layers
  params = nets.get_params(net)
  params['conv2_1']['bias'] = params['conv2_1']['bias'].at[7].set(jnp.nan)
  recorder = Recorder(tmp_path, ConfigDict({'experiment': 'x'}), overwrite=True)
  recorder.open()
  with pytest.raises(ValueError, match='conv2_1: channel 7 is not finite'):
    survey(
      recorder,
      nets.with_params(net, params),
      ['conv2_1'],
      images,
      top=2,
      batch=6,
    )
