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


_TORCHVISION = {
  'alexnet': 'alexnet-owt-7be5be79.pth',
  'vgg11': 'vgg11-8a719046.pth',
  'vgg13': 'vgg13-19584684.pth',
  'vgg16': 'vgg16-397923af.pth',
  'vgg19': 'vgg19-dcbb9e9d.pth',
  'squeezenet11': 'squeezenet1_1-b8a52dc0.pth',
  'resnet18': 'resnet18-f37072fd.pth',
  'resnet50': 'resnet50-0676ba61.pth',
}
_TIMM = {'resnet18': 'resnet18.tv_in1k', 'resnet50': 'resnet50.tv_in1k'}

SOURCES = {
  **{
    f'torchvision/{arch}': Source(
      arch,
      f'https://download.pytorch.org/models/{file}',
      file.rpartition('-')[2].removesuffix('.pth'),
    )
    for arch, file in _TORCHVISION.items()
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
