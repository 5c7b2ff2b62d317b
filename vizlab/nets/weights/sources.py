"""URLs and checksums of published weights."""

import dataclasses

__all__ = ['SOURCES', 'Source']


@dataclasses.dataclass(frozen=True)
class Source:
  """Weight file on the server of its publisher.

  Attributes:
    arch: Name of its architecture.
    url: URL of the file.
    sha256: Prefix of its SHA-256, which torchvision includes in file names;
      ``None`` if the server states the checksum.
  """

  arch: str
  url: str
  sha256: str | None


# Names that torchvision gives them.
_TORCHVISION = {
  'alexnet': 'alexnet-owt-7be5be79.pth',
  'vgg11': 'vgg11-8a719046.pth',
  'vgg13': 'vgg13-19584684.pth',
  'vgg16': 'vgg16-397923af.pth',
  'vgg19': 'vgg19-dcbb9e9d.pth',
  'vgg11_bn': 'vgg11_bn-6002323d.pth',
  'vgg13_bn': 'vgg13_bn-abd245e5.pth',
  'vgg16_bn': 'vgg16_bn-6c64b313.pth',
  'vgg19_bn': 'vgg19_bn-c79401a0.pth',
  'googlenet': 'googlenet-1378be20.pth',
  'inception_v3': 'inception_v3_google-0cc3c7bd.pth',
  'densenet121': 'densenet121-a639ec97.pth',
  'squeezenet1_1': 'squeezenet1_1-b8a52dc0.pth',
  'resnet18': 'resnet18-f37072fd.pth',
  'resnet34': 'resnet34-b627a593.pth',
  'resnet50': 'resnet50-0676ba61.pth',
  'resnet101': 'resnet101-63fe2227.pth',
  'resnet152': 'resnet152-394f9c45.pth',
  'vit_b_16': 'vit_b_16-c867db91.pth',
}
# Their architectures' names in the catalog, where they differ.
_ARCHS = {'googlenet': 'googlenet_bn', 'squeezenet1_1': 'squeezenet11'}
_TIMM = {
  arch: f'{arch}.tv_in1k' for arch in _TORCHVISION if arch.startswith('resnet')
}

SOURCES = {
  **{
    f'torchvision/{name}': Source(
      _ARCHS.get(name, name),
      f'https://download.pytorch.org/models/{file}',
      file.rpartition('-')[2].removesuffix('.pth'),
    )
    for name, file in _TORCHVISION.items()
  },
  **{
    f'timm/{arch}': Source(
      arch,
      f'https://huggingface.co/timm/{model}/resolve/main/model.safetensors',
      None,
    )
    for arch, model in _TIMM.items()
  },
}
