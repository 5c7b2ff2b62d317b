"""The published nets, stated plainly in torch: an independent oracle."""

import torch
from torch import nn
from torch_inception import AllCnn, DenseNet, GoogLeNetBn, InceptionV3
from torch_other_nets import CifarResNet, GoogLeNet
from torch_vit import Vit


def _classifier(width, classes, dropout_first):
  layers = [nn.Linear(width, 4096), nn.ReLU(), nn.Dropout()]
  layers += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
  if dropout_first:  # as in torchvision's AlexNet
    layers = [nn.Dropout(), *layers[:2], nn.Dropout(), *layers[3:5]]
  return nn.Sequential(*layers, nn.Linear(4096, classes))


class Vgg(nn.Module):
  def __init__(self, depths, classes, norm=False):
    super().__init__()
    layers, before = [], 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
      for _ in range(depth):
        layers.append(nn.Conv2d(before, width, 3, padding=1))
        layers += [nn.BatchNorm2d(width), nn.ReLU()] if norm else [nn.ReLU()]
        before = width
      layers.append(nn.MaxPool2d(2, 2))
    self.features = nn.Sequential(*layers)
    self.avgpool = nn.AdaptiveAvgPool2d(7)
    self.classifier = _classifier(512 * 49, classes, dropout_first=False)

  def forward(self, x):
    return self.classifier(self.avgpool(self.features(x)).flatten(1))


class AlexNet(nn.Module):
  def __init__(self, classes):
    super().__init__()
    self.features = nn.Sequential(
      nn.Conv2d(3, 64, 11, 4, 2),
      nn.ReLU(),
      nn.MaxPool2d(3, 2),
      nn.Conv2d(64, 192, 5, padding=2),
      nn.ReLU(),
      nn.MaxPool2d(3, 2),
      nn.Conv2d(192, 384, 3, padding=1),
      nn.ReLU(),
      nn.Conv2d(384, 256, 3, padding=1),
      nn.ReLU(),
      nn.Conv2d(256, 256, 3, padding=1),
      nn.ReLU(),
      nn.MaxPool2d(3, 2),
    )
    self.avgpool = nn.AdaptiveAvgPool2d(6)
    self.classifier = _classifier(256 * 36, classes, dropout_first=True)

  def forward(self, x):
    return self.classifier(self.avgpool(self.features(x)).flatten(1))


class OldNet(nn.Module):
  """Caffe's AlexNet, or ZFNet: named layers, with normalisation."""

  def __init__(self, convs, pools, norm_first, classes):
    super().__init__()
    for name, conv in convs.items():
      self.add_module(name, conv)
    self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    self.pools, self.norm_first = pools, norm_first
    self.fc6 = nn.Linear(256 * 36, 4096)
    self.fc7 = nn.Linear(4096, 4096)
    self.fc8 = nn.Linear(4096, classes)

  def features(self, x):
    for i, pool in ((1, self.pools[0]), (2, self.pools[1])):
      x = getattr(self, f'conv{i}')(x).relu()
      x = pool(self.norm(x)) if self.norm_first else self.norm(pool(x))
    for i in (3, 4, 5):
      x = getattr(self, f'conv{i}')(x).relu()
    return self.pools[2](x)

  def forward(self, x):
    x = nn.functional.adaptive_avg_pool2d(self.features(x), 6).flatten(1)
    return self.fc8(self.fc7(self.fc6(x).relu()).relu())


def caffe_alexnet(classes):
  convs = {
    'conv1': nn.Conv2d(3, 96, 11, 4),
    'conv2': nn.Conv2d(96, 256, 5, padding=2, groups=2),
    'conv3': nn.Conv2d(256, 384, 3, padding=1),
    'conv4': nn.Conv2d(384, 384, 3, padding=1, groups=2),
    'conv5': nn.Conv2d(384, 256, 3, padding=1, groups=2),
  }
  pools = [nn.MaxPool2d(3, 2, ceil_mode=True)] * 3
  return OldNet(convs, pools, True, classes)


class AlexNetCam(nn.Module):
  def __init__(self, classes):
    super().__init__()
    self.conv1 = nn.Conv2d(3, 96, 11, 4)
    self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
    self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
    self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
    self.conv5 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
    self.conv6 = nn.Conv2d(384, 512, 3, padding=1, groups=2)
    self.conv7 = nn.Conv2d(512, 512, 3, padding=1, groups=2)
    self.fc9 = nn.Linear(512, classes)
    self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)

  def forward(self, x):
    for conv in (self.conv1, self.conv2):
      pooled = nn.functional.max_pool2d(conv(x).relu(), 3, 2, ceil_mode=True)
      x = self.norm(pooled)
    for conv in (self.conv3, self.conv4, self.conv5):
      x = conv(x).relu()
    x = nn.functional.max_pool2d(x, 3, 1)
    x = self.conv7(self.conv6(x).relu()).relu()
    return self.fc9(x.mean((2, 3)))


def zfnet(classes):
  convs = {
    'conv1': nn.Conv2d(3, 96, 7, 2, padding=1),
    'conv2': nn.Conv2d(96, 256, 5, 2),
    'conv3': nn.Conv2d(256, 384, 3, padding=1),
    'conv4': nn.Conv2d(384, 384, 3, padding=1),
    'conv5': nn.Conv2d(384, 256, 3, padding=1),
  }
  pools = [nn.MaxPool2d(3, 2, padding=1)] * 2 + [nn.MaxPool2d(3, 2)]
  return OldNet(convs, pools, False, classes)


class Fire(nn.Module):
  def __init__(self, before, squeeze, expand):
    super().__init__()
    self.squeeze = nn.Conv2d(before, squeeze, 1)
    self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
    self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

  def forward(self, x):
    x = self.squeeze(x).relu()
    return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


class SqueezeNet(nn.Module):
  def __init__(self, classes):
    super().__init__()
    self.features = nn.Sequential(
      nn.Conv2d(3, 64, 3, 2),
      nn.ReLU(),
      nn.MaxPool2d(3, 2, ceil_mode=True),
      Fire(64, 16, 64),
      Fire(128, 16, 64),
      nn.MaxPool2d(3, 2, ceil_mode=True),
      Fire(128, 32, 128),
      Fire(256, 32, 128),
      nn.MaxPool2d(3, 2, ceil_mode=True),
      Fire(256, 48, 192),
      Fire(384, 48, 192),
      Fire(384, 64, 256),
      Fire(512, 64, 256),
    )
    self.classifier = nn.Sequential(
      nn.Dropout(),
      nn.Conv2d(512, classes, 1),
      nn.ReLU(),
      nn.AdaptiveAvgPool2d(1),
    )

  def forward(self, x):
    return self.classifier(self.features(x)).flatten(1)


class Block(nn.Module):
  def __init__(self, before, width, stride, bottleneck):
    super().__init__()
    after = 4 * width if bottleneck else width
    if bottleneck:
      shapes = [(before, width, 1, 1), (width, width, 3, stride)]
      shapes.append((width, after, 1, 1))
    else:
      shapes = [(before, width, 3, stride), (width, width, 3, 1)]
    self.count = len(shapes)
    for i, (c, d, k, s) in enumerate(shapes, start=1):
      self.add_module(f'conv{i}', nn.Conv2d(c, d, k, s, k // 2, bias=False))
      self.add_module(f'bn{i}', nn.BatchNorm2d(d))
    self.downsample = None
    if stride > 1 or before != after:
      self.downsample = nn.Sequential(
        nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
      )

  def forward(self, x):
    y = x
    for i in range(1, self.count + 1):
      y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))
      y = y.relu() if i < self.count else y
    return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
  def __init__(self, depths, bottleneck, classes):
    super().__init__()
    self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    self.bn1 = nn.BatchNorm2d(64)
    self.maxpool = nn.MaxPool2d(3, 2, 1)
    before = 64
    for stage, depth in enumerate(depths, start=1):
      width, blocks = 32 * 2**stage, []
      for i in range(depth):
        stride = 2 if stage > 1 and i == 0 else 1
        blocks.append(Block(before, width, stride, bottleneck))
        before = 4 * width if bottleneck else width
      self.add_module(f'layer{stage}', nn.Sequential(*blocks))
    self.fc = nn.Linear(before, classes)

  def forward(self, x):
    x = self.maxpool(self.bn1(self.conv1(x)).relu())
    x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
    return self.fc(x.mean((2, 3)))


class Chain(nn.Module):
  """Stages of named convolutions, more of them, and a classifier of means."""

  def __init__(self, depths, widths, classes, first=3, more=None, head='fc'):
    super().__init__()
    self.plan, before = [], 3
    for stage, (depth, width) in enumerate(
      zip(depths, widths, strict=True), start=1
    ):
      for i in range(1, depth + 1):
        name, kernel = f'conv{stage}_{i}', first if stage == 1 else 3
        conv = nn.Conv2d(before, width, kernel, padding=kernel // 2)
        self.add_module(name, conv)
        self.plan.append(name)
        before = width
      self.plan.append('pool')
    self.plan.pop()
    for name, conv in (more or {}).items():
      self.add_module(name, conv)
      self.plan.append(name)
      before = conv.out_channels
    self.head = head
    self.add_module(head, nn.Linear(before, classes))

  def forward(self, x):
    for name in self.plan:
      if name == 'pool':
        x = nn.functional.max_pool2d(x, 2)
      else:
        x = getattr(self, name)(x).relu()
    return getattr(self, self.head)(x.mean((2, 3)))


def vgg_cam(classes):
  more = {'CAM_conv': nn.Conv2d(512, 1024, 3, padding=1, groups=2)}
  widths = (64, 128, 256, 512, 512)
  return Chain((2, 2, 3, 3, 3), widths, classes, more=more, head='CAM_fc')


def mini_vgg(classes):
  return Chain((1, 1, 2, 2, 2), (32, 64, 96, 128, 128), classes, first=5)


def build(name, classes):
  """The torch module of an architecture, in evaluation mode."""
  torch.manual_seed(0)
  made = {
    'alexnet': lambda: AlexNet(classes),
    'caffe_alexnet': lambda: caffe_alexnet(classes),
    'alexnet_cam': lambda: AlexNetCam(classes),
    'zfnet': lambda: zfnet(classes),
    'vgg11': lambda: Vgg((1, 1, 2, 2, 2), classes),
    'vgg13': lambda: Vgg((2, 2, 2, 2, 2), classes),
    'vgg16': lambda: Vgg((2, 2, 3, 3, 3), classes),
    'vgg19': lambda: Vgg((2, 2, 4, 4, 4), classes),
    'vgg11_bn': lambda: Vgg((1, 1, 2, 2, 2), classes, norm=True),
    'vgg13_bn': lambda: Vgg((2, 2, 2, 2, 2), classes, norm=True),
    'vgg16_bn': lambda: Vgg((2, 2, 3, 3, 3), classes, norm=True),
    'vgg19_bn': lambda: Vgg((2, 2, 4, 4, 4), classes, norm=True),
    'vgg16_cam': lambda: vgg_cam(classes),
    'googlenet_bn': lambda: GoogLeNetBn(classes),
    'inception_v3': lambda: InceptionV3(classes),
    'densenet121': lambda: DenseNet(classes),
    'all_cnn_c': lambda: AllCnn(classes),
    'squeezenet11': lambda: SqueezeNet(classes),
    'googlenet': lambda: GoogLeNet(classes),
    'resnet20': lambda: CifarResNet(3, classes),
    'resnet32': lambda: CifarResNet(5, classes),
    'resnet44': lambda: CifarResNet(7, classes),
    'resnet56': lambda: CifarResNet(9, classes),
    'resnet18': lambda: ResNet((2, 2, 2, 2), False, classes),
    'resnet34': lambda: ResNet((3, 4, 6, 3), False, classes),
    'resnet50': lambda: ResNet((3, 4, 6, 3), True, classes),
    'resnet101': lambda: ResNet((3, 4, 23, 3), True, classes),
    'resnet152': lambda: ResNet((3, 8, 36, 3), True, classes),
    'minivgg': lambda: mini_vgg(classes),
    'vit_b_16': lambda: Vit(classes),
  }[name]()
  for module in made.modules():
    if isinstance(module, nn.BatchNorm2d):
      nn.init.uniform_(module.running_mean, -0.5, 0.5)
      nn.init.uniform_(module.running_var, 0.5, 2.0)
      nn.init.uniform_(module.weight, 0.5, 1.5)
      nn.init.uniform_(module.bias, -0.2, 0.2)
    elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
      nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
      nn.init.uniform_(module.bias, -0.1, 0.1)
  return made.eval()
