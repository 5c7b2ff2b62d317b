"""GoogLeNet and the ResNets of CIFAR-10, stated plainly in torch."""

import torch
from torch import nn


class GoogLeNet(nn.Module):
  """The net of Caffe's prototxt, whose layers have slashes in their names."""

  MODULES = {
    '3a': (192, 64, 96, 128, 16, 32, 32),
    '3b': (256, 128, 128, 192, 32, 96, 64),
    '4a': (480, 192, 96, 208, 16, 48, 64),
    '4b': (512, 160, 112, 224, 24, 64, 64),
    '4c': (512, 128, 128, 256, 24, 64, 64),
    '4d': (512, 112, 144, 288, 32, 64, 64),
    '4e': (528, 256, 160, 320, 32, 128, 128),
    '5a': (832, 256, 160, 320, 32, 128, 128),
    '5b': (832, 384, 192, 384, 48, 128, 128),
  }

  def __init__(self, classes):
    super().__init__()
    self.add_module('conv1/7x7_s2', nn.Conv2d(3, 64, 7, 2, 3))
    self.add_module('conv2/3x3_reduce', nn.Conv2d(64, 64, 1))
    self.add_module('conv2/3x3', nn.Conv2d(64, 192, 3, padding=1))
    for name, (before, a, b, c, d, e, f) in self.MODULES.items():
      for part, conv in {
        '1x1': nn.Conv2d(before, a, 1),
        '3x3_reduce': nn.Conv2d(before, b, 1),
        '3x3': nn.Conv2d(b, c, 3, padding=1),
        '5x5_reduce': nn.Conv2d(before, d, 1),
        '5x5': nn.Conv2d(d, e, 5, padding=2),
        'pool_proj': nn.Conv2d(before, f, 1),
        'output': nn.Identity(),
      }.items():
        self.add_module(f'inception_{name}/{part}', conv)
    self.add_module('loss3/classifier', nn.Linear(1024, classes))
    self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

  def layer(self, name, x):
    return self.get_submodule(name)(x).relu()

  def inception(self, name, x):
    def part(which, x):
      return self.layer(f'inception_{name}/{which}', x)

    pooled = nn.functional.max_pool2d(x, 3, 1, 1)
    branches = [
      part('1x1', x),
      part('3x3', part('3x3_reduce', x)),
      part('5x5', part('5x5_reduce', x)),
      part('pool_proj', pooled),
    ]
    return part('output', torch.cat(branches, 1))

  def forward(self, x):
    x = self.norm(self.pool(self.layer('conv1/7x7_s2', x)))
    x = self.layer('conv2/3x3', self.layer('conv2/3x3_reduce', x))
    x = self.pool(self.norm(x))
    for name in self.MODULES:
      x = self.pool(x) if name in ('4a', '5a') else x
      x = self.inception(name, x)
    return self.get_submodule('loss3/classifier')(x.mean((2, 3)))


class CifarBlock(nn.Module):
  def __init__(self, before, width):
    super().__init__()
    self.stride = 1 if before == width else 2
    self.conv1 = nn.Conv2d(before, width, 3, self.stride, 1, bias=False)
    self.bn1 = nn.BatchNorm2d(width)
    self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
    self.bn2 = nn.BatchNorm2d(width)

  def forward(self, x):
    y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
    if self.stride > 1:
      empty = torch.zeros_like(y[:, : y.shape[1] // 4])
      x = torch.cat([empty, x[:, :, ::2, ::2], empty], 1)
    return (x + y).relu()


class CifarResNet(nn.Module):
  def __init__(self, depth, classes):
    super().__init__()
    self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    self.bn1 = nn.BatchNorm2d(16)
    before = 16
    for stage, width in enumerate((16, 32, 64), start=1):
      blocks = []
      for _ in range(depth):
        blocks.append(CifarBlock(before, width))
        before = width
      self.add_module(f'layer{stage}', nn.Sequential(*blocks))
    self.linear = nn.Linear(64, classes)

  def forward(self, x):
    x = self.bn1(self.conv1(x)).relu()
    x = self.layer3(self.layer2(self.layer1(x)))
    return self.linear(x.mean((2, 3)))
