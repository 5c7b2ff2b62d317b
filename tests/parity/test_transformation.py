"""Image transformation networks equal their torch statements."""

import jax
import numpy as np
import pytest
from tools import jit_once

from vizlab import nets
from vizlab.image import bicubic

pytestmark = pytest.mark.slow

torch = pytest.importorskip('torch')
nn, functional = torch.nn, torch.nn.functional


class Conv(nn.Module):
  """A convolution between mirrored borders, after an enlargement if asked."""

  def __init__(self, before, after, kernel, stride=1, larger=1):
    super().__init__()
    self.larger, self.border = larger, kernel // 2
    self.conv2d = nn.Conv2d(before, after, kernel, stride)

  def forward(self, x):
    x = functional.interpolate(x, scale_factor=float(self.larger))
    return self.conv2d(functional.pad(x, [self.border] * 4, 'reflect'))


class Residual(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.conv1, self.conv2 = Conv(width, width, 3), Conv(width, width, 3)
    self.in1, self.in2 = (
      nn.InstanceNorm2d(width, affine=True) for _ in range(2)
    )

  def forward(self, x):
    return x + self.in2(self.conv2(self.in1(self.conv1(x)).relu()))


class Examples(nn.Module):
  """The network of PyTorch's fast neural style, with its names."""

  def __init__(self):
    super().__init__()
    plan = [(3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)]
    for i, row in enumerate(plan, 1):
      setattr(self, f'conv{i}', Conv(*row))
      setattr(self, f'in{i}', nn.InstanceNorm2d(row[1], affine=True))
    for i in range(1, 6):
      setattr(self, f'res{i}', Residual(128))
    self.deconv1, self.in4 = Conv(128, 64, 3, 1, 2), norm(64)
    self.deconv2, self.in5 = Conv(64, 32, 3, 1, 2), norm(32)
    self.deconv3 = Conv(32, 3, 9)

  def forward(self, x):
    for i in (1, 2, 3):
      conv, norm = (getattr(self, f'{name}{i}') for name in ('conv', 'in'))
      x = norm(conv(x)).relu()
    for i in range(1, 6):
      x = getattr(self, f'res{i}')(x)
    x = self.in4(self.deconv1(x)).relu()
    x = self.in5(self.deconv2(x)).relu()
    return self.deconv3(x)


def norm(width):
  return nn.InstanceNorm2d(width, affine=True)


def difference(ours, theirs):
  theirs = theirs.detach().numpy().transpose(0, 2, 3, 1)
  assert ours.shape == theirs.shape
  return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.fixture(scope='module')
def image():
  return jax.random.uniform(jax.random.key(0), (2, 48, 64, 3))


def torch_image(image):
  return torch.tensor(255 * np.asarray(image).transpose(0, 3, 1, 2))


@pytest.mark.parametrize('early', [False, True])
def test_the_network_of_pytorchs_examples(image, early):
  torch.manual_seed(0)
  model = Examples()
  for module in model.modules():
    if isinstance(module, nn.InstanceNorm2d):
      nn.init.uniform_(module.weight, 0.5, 1.5)
      nn.init.uniform_(module.bias, -0.5, 0.5)
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  if early:  # versions of torch before 0.4 wrote them
    state |= {
      f'in{i}.running_{name}': np.zeros(3)
      for i in (1, 4)
      for name in ('mean', 'var')
    }
  net = nets.from_tensors(state)
  assert net.arch == 'fast_style' and nets.param_count(net) == 1_679_235
  seen = {}
  for path, name in (
    ('in1', 'conv1_norm'),
    ('res3', 'res3'),
    ('res5.in1', 'res5a_norm'),
    ('deconv1', 'up1'),
    ('in5', 'up2_norm'),
  ):
    model.get_submodule(path).register_forward_hook(
      lambda module, args, y, name=name: seen.__setitem__(name, y.clone())
    )
  with torch.no_grad():
    expected = model(torch_image(image))
  logits, acts = jit_once(lambda net, x: net(x))(net, image)
  assert logits is None and len(seen) == 5
  assert difference(255 * acts['image'], expected) < 1e-4
  for name, value in seen.items():
    assert difference(acts[name], value) < 1e-4, name


def transposed(image, tensors):
  """Engstrom's network, in torch: SAME padding puts the odd zero at the end."""

  def normed(x, name):
    mean = x.mean((2, 3), keepdim=True)
    var = (x - mean).square().mean((2, 3), keepdim=True)
    scale, shift = (
      tensors[f'{name}/{key}'][None, :, None, None]
      for key in ('scale', 'shift')
    )
    return scale * (x - mean) / (var + 1e-3).sqrt() + shift

  def conv(x, name, stride=1):
    kernel = tensors[f'{name}/kernel'].permute(3, 2, 0, 1)
    low = (kernel.shape[-1] - stride) // 2
    high = kernel.shape[-1] - stride - low
    x = functional.pad(x, [low, high] * 2)
    return normed(functional.conv2d(x, kernel, stride=stride), name)

  def spread(x, name):
    kernel = tensors[f'{name}/kernel'].permute(3, 2, 0, 1)
    y = functional.conv_transpose2d(x, kernel, stride=2)
    return normed(y[..., :-1, :-1], name)

  x = conv(image, 'conv1').relu()
  x = conv(conv(x, 'conv2', 2).relu(), 'conv3', 2).relu()
  for i in range(1, 6):
    x = x + conv(conv(x, f'res{i}a').relu(), f'res{i}b')
  middle = x
  x = spread(spread(x, 'up1').relu(), 'up2').relu()
  return middle, torch.tanh(conv(x, 'conv4')) * 150 + 127.5


@pytest.mark.parametrize('name', ['wave', 'la_muse'])
def test_trained_networks_of_engstrom(name, image, assets):
  path = assets / 'weights' / 'fast_style' / f'{name}.npz'
  net = nets.load(path)
  assert net.arch == 'fast_style_transposed'
  with np.load(path) as file:
    tensors = {k: torch.tensor(v.astype(np.float32)) for k, v in file.items()}
  middle, expected = transposed(torch_image(image), tensors)
  _, acts = jit_once(lambda net, x: net(x))(net, image)
  assert difference(acts['res5'], middle) < 1e-4
  assert difference(255 * acts['image'], expected) < 1e-4


class Enlarger(nn.Module):
  """Johnson's network of super-resolution, its result added to the image's."""

  def __init__(self, steps):
    super().__init__()
    self.conv1, self.conv2 = Conv(3, 64, 9), Conv(64, 3, 9)
    for i in range(1, 5):
      setattr(self, f'res{i}a', Conv(64, 64, 3))
      setattr(self, f'res{i}b', Conv(64, 64, 3))
    self.ups = [f'up{i}' for i in range(1, steps + 1)]
    for name in self.ups:
      setattr(self, name, Conv(64, 64, 3, larger=2))

  def forward(self, x, enlarged):
    x = self.conv1(x).relu()
    for i in range(1, 5):
      x = x + getattr(self, f'res{i}b')(getattr(self, f'res{i}a')(x).relu())
    for name in self.ups:
      x = getattr(self, name)(x).relu()
    return x, self.conv2(x) + enlarged


@pytest.mark.parametrize('name', ['super_resolution_x4', 'super_resolution_x8'])
def test_networks_that_enlarge(name, image):
  torch.manual_seed(0)
  factor = int(name[-1])
  model = Enlarger(factor.bit_length() - 1)
  params = {
    layer: {
      'kernel': np.asarray(conv.conv2d.weight.detach()).transpose(2, 3, 1, 0),
      'bias': np.asarray(conv.conv2d.bias.detach()),
    }
    for layer, conv in model.named_children()
  }
  net = nets.with_params(nets.create(name), params)
  small = image[:, ::4, ::4]
  size = [factor * n for n in small.shape[1:3]]
  enlarged = np.asarray(bicubic(small, size))
  with torch.no_grad():
    last, expected = model(
      torch_image(small) / 255, torch_image(enlarged) / 255
    )
  _, acts = jit_once(lambda net, x: net(x))(net, small)
  assert difference(acts[f'{model.ups[-1]}_relu'], last) < 1e-4
  assert difference(acts['image'], expected) < 1e-4
