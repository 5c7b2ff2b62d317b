import numpy as np
import pytest
from PIL import Image

from vizlab import nets
from vizlab.runs import execute
from vizlab_experiments.attribution import explain as attribution
from vizlab_experiments.configs.attribution import explain as configs


def test_bad_weights_are_told(tmp_path):
  config = configs.get_test_config()
  config.net.weights = str(tmp_path / 'vgg19.safetensors')
  with pytest.raises(ValueError, match='config.net.weights: no such file'):
    execute(attribution, config, tmp_path / 'run')
  net = nets.create('squeezenet11', classifier=False)
  config.net.weights = str(nets.save(net, tmp_path / 'conv.safetensors'))
  with pytest.raises(ValueError, match='holds no classifier'):
    execute(attribution, config, tmp_path / 'run')
  config.net.arch = 'vgg19'
  with pytest.raises(ValueError, match='these look like squeezenet11 weights'):
    execute(attribution, config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_odd_pictures_are_explained(tmp_path):
  rng = np.random.default_rng(0)
  deep = rng.integers(0, 65535, (40, 30)).astype(np.uint16)
  Image.fromarray(deep).save(tmp_path / 'deep.png')
  Image.new('RGBA', (1, 1), (9, 200, 9, 128)).save(tmp_path / 'dot.png')
  Image.new('L', (300, 20), 77).save(tmp_path / 'wide.png')
  config = configs.get_test_config()
  config.images = tuple(
    str(tmp_path / f'{name}.png') for name in ('deep', 'dot', 'wide')
  )
  config.scenes = config.score_scenes = 0
  results = execute(attribution, config, tmp_path / 'run')
  assert results['pictures'] == 3
  sheet = np.asarray(Image.open(tmp_path / 'run' / 'attribution.png'))
  assert sheet.std() > 10


@pytest.mark.slow
def test_grad_cam_finds_the_object(tmp_path):
  config = configs.get_test_config()
  config.methods = ('grad_cam', 'guided_grad_cam')
  config.score_scenes = 32
  results = execute(attribution, config, tmp_path / 'run')
  assert results['inside/grad_cam'] > 0.15  # the object covers 0.05
  assert results['inside/guided_grad_cam'] > 0.35
