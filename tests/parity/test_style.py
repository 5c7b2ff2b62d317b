"""The loss of a whole style transfer equals its statement in torch."""

import jax
import numpy as np
import pytest
from tools import jit_once

from vizlab import nets, style
from vizlab.objectives import score

pytestmark = pytest.mark.slow

torch = pytest.importorskip('torch')
torch_nets = pytest.importorskip('torch_nets')

ALPHA, BETA = 0.7, 300.0


def torch_loss(features, x, content, painting):
  """Gatys et al. 2016 with sums over places, as it is printed there."""

  def maps(x):
    found, conv = {}, {'block': 1, 'place': 0}
    for layer in features:
      x = layer(x)
      if isinstance(layer, torch.nn.Conv2d):
        conv['place'] += 1
      elif isinstance(layer, torch.nn.ReLU):
        found[f'{conv["block"]}_{conv["place"]}'] = x[0].flatten(1)
      else:
        conv = {'block': conv['block'] + 1, 'place': 0}
    return found

  now, of_content, of_style = map(maps, (x, content, painting))
  loss = ALPHA * 0.5 * ((now['4_2'] - of_content['4_2']) ** 2).sum()
  for layer in ('1_1', '2_1', '3_1', '4_1', '5_1'):
    f, s = now[layer], of_style[layer]
    (n, m), m_s = f.shape, s.shape[1]
    # The painting has another size: its sums are brought to as many places.
    apart = f @ f.T - s @ s.T * (m / m_s)
    loss = loss + BETA * 0.2 * (apart**2).sum() / (4 * n**2 * m**2)
  return loss


# Of relu4_2 for 64 x 48 pixels.
POSITIONS = 8 * 6


def test_total_loss_and_its_slope_equal_torch():
  torch.manual_seed(0)
  model = torch_nets.build('vgg19', classes=2)
  with torch.no_grad():  # so that the signal does not fade with depth
    for layer in model.features:
      if isinstance(layer, torch.nn.Conv2d):
        torch.nn.init.kaiming_normal_(layer.weight)
  features = torch.nn.Sequential(
    *(
      torch.nn.AvgPool2d(2) if isinstance(m, torch.nn.MaxPool2d) else m
      for m in model.features
    )
  )
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  net = nets.from_tensors(state, arch='vgg19', pool='avg')
  content, x = jax.random.uniform(jax.random.key(0), (2, 64, 48, 3))
  painting = jax.random.uniform(jax.random.key(1), (48, 80, 3)) ** 2

  def ours(net, x):
    loss = style.total_loss(
      net,
      content,
      [painting],
      alpha=ALPHA * POSITIONS,  # the paper sums where ours is a mean
      beta=BETA,
    )
    return score(net, loss)(x)

  value, slope = jit_once(jax.value_and_grad(ours, argnums=1))(net, x)

  def inputs(x):
    return torch.tensor(np.array(net.spec(x).transpose(2, 0, 1)[None]))

  image = inputs(x).requires_grad_()
  expected = torch_loss(features, image, inputs(content), inputs(painting))
  expected.backward()
  np.testing.assert_allclose(value, expected.item(), rtol=1e-4)
  # The slope by our pixels: the preprocessing is affine.
  scale = np.asarray(net.spec(x + 1) - net.spec(x))
  want = image.grad[0].numpy().transpose(1, 2, 0) * scale
  apart = np.linalg.norm(np.asarray(slope) - want) / np.linalg.norm(want)
  assert apart < 1e-3
