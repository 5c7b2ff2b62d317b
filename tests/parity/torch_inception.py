"""Inception, DenseNet and All-CNN, stated plainly in torch."""

import torch
from torch import nn
from torch.nn import functional as F
from torch_other_nets import GoogLeNet


class Conv(nn.Module):
  """Convolution, batch normalisation and ReLU."""

  def __init__(self, before, after, kernel=1, stride=1, padding=0):
    super().__init__()
    self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
    self.bn = nn.BatchNorm2d(after, eps=0.001)

  def forward(self, x):
    return self.bn(self.conv(x)).relu()


class Branches(nn.Module):
  """Named convolutions, and how they are joined."""

  def __init__(self, join, **convs):
    super().__init__()
    self.join = join
    for name, conv in convs.items():
      self.add_module(name, conv)

  def forward(self, x):
    return torch.cat(self.join(self, x), 1)


def average(x):
  return F.avg_pool2d(x, 3, stride=1, padding=1)


def module_a(before, pooled):
  def join(m, x):
    double = m.branch3x3dbl_3(m.branch3x3dbl_2(m.branch3x3dbl_1(x)))
    five = m.branch5x5_2(m.branch5x5_1(x))
    return [m.branch1x1(x), five, double, m.branch_pool(average(x))]

  return Branches(
    join,
    branch1x1=Conv(before, 64),
    branch5x5_1=Conv(before, 48),
    branch5x5_2=Conv(48, 64, 5, padding=2),
    branch3x3dbl_1=Conv(before, 64),
    branch3x3dbl_2=Conv(64, 96, 3, padding=1),
    branch3x3dbl_3=Conv(96, 96, 3, padding=1),
    branch_pool=Conv(before, pooled),
  )


def module_b(before):
  def join(m, x):
    double = m.branch3x3dbl_3(m.branch3x3dbl_2(m.branch3x3dbl_1(x)))
    return [m.branch3x3(x), double, F.max_pool2d(x, 3, 2)]

  return Branches(
    join,
    branch3x3=Conv(before, 384, 3, 2),
    branch3x3dbl_1=Conv(before, 64),
    branch3x3dbl_2=Conv(64, 96, 3, padding=1),
    branch3x3dbl_3=Conv(96, 96, 3, 2),
  )


def row(before, after, n=7):
  return Conv(before, after, (1, n), padding=(0, n // 2))


def column(before, after, n=7):
  return Conv(before, after, (n, 1), padding=(n // 2, 0))


def module_c(thin):
  def join(m, x):
    seven = m.branch7x7_3(m.branch7x7_2(m.branch7x7_1(x)))
    y = m.branch7x7dbl_3(m.branch7x7dbl_2(m.branch7x7dbl_1(x)))
    double = m.branch7x7dbl_5(m.branch7x7dbl_4(y))
    return [m.branch1x1(x), seven, double, m.branch_pool(average(x))]

  return Branches(
    join,
    branch1x1=Conv(768, 192),
    branch7x7_1=Conv(768, thin),
    branch7x7_2=row(thin, thin),
    branch7x7_3=column(thin, 192),
    branch7x7dbl_1=Conv(768, thin),
    branch7x7dbl_2=column(thin, thin),
    branch7x7dbl_3=row(thin, thin),
    branch7x7dbl_4=column(thin, thin),
    branch7x7dbl_5=row(thin, 192),
    branch_pool=Conv(768, 192),
  )


def module_d():
  def join(m, x):
    seven = m.branch7x7x3_3(m.branch7x7x3_2(m.branch7x7x3_1(x)))
    three = m.branch3x3_2(m.branch3x3_1(x))
    return [three, m.branch7x7x3_4(seven), F.max_pool2d(x, 3, 2)]

  return Branches(
    join,
    branch3x3_1=Conv(768, 192),
    branch3x3_2=Conv(192, 320, 3, 2),
    branch7x7x3_1=Conv(768, 192),
    branch7x7x3_2=row(192, 192),
    branch7x7x3_3=column(192, 192),
    branch7x7x3_4=Conv(192, 192, 3, 2),
  )


def module_e(before):
  def join(m, x):
    three = m.branch3x3_1(x)
    double = m.branch3x3dbl_2(m.branch3x3dbl_1(x))
    return [
      m.branch1x1(x),
      m.branch3x3_2a(three),
      m.branch3x3_2b(three),
      m.branch3x3dbl_3a(double),
      m.branch3x3dbl_3b(double),
      m.branch_pool(average(x)),
    ]

  return Branches(
    join,
    branch1x1=Conv(before, 320),
    branch3x3_1=Conv(before, 384),
    branch3x3_2a=row(384, 384, 3),
    branch3x3_2b=column(384, 384, 3),
    branch3x3dbl_1=Conv(before, 448),
    branch3x3dbl_2=Conv(448, 384, 3, padding=1),
    branch3x3dbl_3a=row(384, 384, 3),
    branch3x3dbl_3b=column(384, 384, 3),
    branch_pool=Conv(before, 192),
  )


class InceptionV3(nn.Module):
  def __init__(self, classes):
    super().__init__()
    self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2)
    self.Conv2d_2a_3x3 = Conv(32, 32, 3)
    self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
    self.Conv2d_3b_1x1 = Conv(64, 80)
    self.Conv2d_4a_3x3 = Conv(80, 192, 3)
    self.Mixed_5b, self.Mixed_5c = module_a(192, 32), module_a(256, 64)
    self.Mixed_5d, self.Mixed_6a = module_a(288, 64), module_b(288)
    self.Mixed_6b, self.Mixed_6c = module_c(128), module_c(160)
    self.Mixed_6d, self.Mixed_6e = module_c(160), module_c(192)
    self.Mixed_7a, self.Mixed_7b = module_d(), module_e(1280)
    self.Mixed_7c = module_e(2048)
    self.AuxLogits = Conv(768, 128)  # of the training; files hold it
    self.fc = nn.Linear(2048, classes)

  def forward(self, x):
    x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
    x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
    x = F.max_pool2d(x, 3, 2)
    for part in ('5b', '5c', '5d', '6a', '6b', '6c', '6d', '6e'):
      x = getattr(self, f'Mixed_{part}')(x)
    x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
    return self.fc(x.mean((2, 3)))


def module_of_googlenet(before, a, b, c, d, e, f):
  return Branches(
    lambda m, x: [m.branch1(x), m.branch2(x), m.branch3(x), m.branch4(x)],
    branch1=Conv(before, a),
    branch2=nn.Sequential(Conv(before, b), Conv(b, c, 3, padding=1)),
    branch3=nn.Sequential(Conv(before, d), Conv(d, e, 3, padding=1)),
    branch4=nn.Sequential(
      nn.MaxPool2d(3, 1, 1, ceil_mode=True), Conv(before, f)
    ),
  )


class GoogLeNetBn(nn.Module):
  def __init__(self, classes):
    super().__init__()
    self.conv1, self.conv2 = Conv(3, 64, 7, 2, 3), Conv(64, 64)
    self.conv3 = Conv(64, 192, 3, padding=1)
    for name, widths in GoogLeNet.MODULES.items():
      self.add_module(f'inception{name}', module_of_googlenet(*widths))
    self.aux1 = Conv(512, 128)  # of the training; files hold it
    self.fc = nn.Linear(1024, classes)

  def forward(self, x):
    x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
    x = F.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
    for name in GoogLeNet.MODULES:
      if name in ('4a', '5a'):
        x = F.max_pool2d(x, 3 if name == '4a' else 2, 2, ceil_mode=True)
      x = getattr(self, f'inception{name}')(x)
    return self.fc(x.mean((2, 3)))


class DenseLayer(nn.Module):
  def __init__(self, before):
    super().__init__()
    self.norm1 = nn.BatchNorm2d(before)
    self.conv1 = nn.Conv2d(before, 128, 1, bias=False)
    self.norm2 = nn.BatchNorm2d(128)
    self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

  def forward(self, x):
    new = self.conv2(self.norm2(self.conv1(self.norm1(x).relu())).relu())
    return torch.cat([x, new], 1)


class DenseNet(nn.Module):
  def __init__(self, classes):
    super().__init__()
    self.features = nn.Sequential()
    add, width = self.features.add_module, 64
    add('conv0', nn.Conv2d(3, 64, 7, 2, 3, bias=False))
    add('norm0', nn.BatchNorm2d(64))
    add('relu0', nn.ReLU())
    add('pool0', nn.MaxPool2d(3, 2, 1))
    for stage, depth in enumerate((6, 12, 24, 16), start=1):
      block = nn.Sequential()
      for i in range(1, depth + 1):
        block.add_module(f'denselayer{i}', DenseLayer(width))
        width += 32
      add(f'denseblock{stage}', block)
      if stage < 4:
        transition = nn.Sequential()
        transition.add_module('norm', nn.BatchNorm2d(width))
        transition.add_module('relu', nn.ReLU())
        conv = nn.Conv2d(width, width // 2, 1, bias=False)
        transition.add_module('conv', conv)
        transition.add_module('pool', nn.AvgPool2d(2, 2))
        add(f'transition{stage}', transition)
        width //= 2
    add('norm5', nn.BatchNorm2d(width))
    self.classifier = nn.Linear(width, classes)

  def forward(self, x):
    return self.classifier(self.features(x).relu().mean((2, 3)))


class AllCnn(nn.Module):
  def __init__(self, classes):
    super().__init__()
    self.conv1 = nn.Conv2d(3, 96, 3, padding=1)
    self.conv2 = nn.Conv2d(96, 96, 3, padding=1)
    self.conv3 = nn.Conv2d(96, 96, 3, 2, padding=1)
    self.conv4 = nn.Conv2d(96, 192, 3, padding=1)
    self.conv5 = nn.Conv2d(192, 192, 3, padding=1)
    self.conv6 = nn.Conv2d(192, 192, 3, 2, padding=1)
    self.conv7 = nn.Conv2d(192, 192, 3)
    self.conv8 = nn.Conv2d(192, 192, 1)
    self.conv9 = nn.Conv2d(192, classes, 1)

  def forward(self, x):
    for i in range(1, 10):
      x = getattr(self, f'conv{i}')(x).relu()
    return x.mean((2, 3))
