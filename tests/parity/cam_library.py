"""pytorch-grad-cam without torchvision, of which it uses only helpers."""

import sys
import types

_NAMES = {
  'torchvision': (),
  'torchvision.transforms': ('Compose', 'Normalize', 'ToTensor'),
  'torchvision.transforms.functional': ('resize',),
}


def load():
  """Imports it, or raises ModuleNotFoundError.

  Its pictures and its detection targets name torchvision, the methods that are
  compared do not; where torchvision is missing, an empty one stands in for it.
  """
  try:
    import torchvision  # noqa: F401
  except ModuleNotFoundError:
    for path, names in _NAMES.items():
      module = sys.modules[path] = types.ModuleType(path)
      for name in names:
        setattr(module, name, None)
      parent, _, child = path.rpartition('.')
      if parent:
        setattr(sys.modules[parent], child, module)
  import pytorch_grad_cam

  return pytorch_grad_cam
