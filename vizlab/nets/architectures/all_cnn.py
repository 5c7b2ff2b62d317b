"""All-CNN-C (Springenberg et al. 2015), of guided backpropagation's paper."""

from vizlab.nets.layers import Conv, GlobalPool, Layer, ReLU

__all__ = ['all_cnn_c']

# Features, kernel, stride and padding of each convolution (table 1, model C).
_CONVS = (
  (96, 3, 1, 1),
  (96, 3, 1, 1),
  (96, 3, 2, 1),
  (192, 3, 1, 1),
  (192, 3, 1, 1),
  (192, 3, 2, 1),
  (192, 3, 1, 0),
  (192, 1, 1, 0),
)


def all_cnn_c(classes: int) -> tuple[Layer, ...]:
  """Layers of the network without pooling, ``conv1`` to ``conv9``.

  Convolutions of stride 2 take the place of pooling.
  """
  ops: list[Layer] = []
  for i, conv in enumerate((*_CONVS, (classes, 1, 1, 0)), start=1):
    ops += [Conv(f'conv{i}', *conv), ReLU(f'relu{i}')]
  return (*ops, GlobalPool('gap'))
