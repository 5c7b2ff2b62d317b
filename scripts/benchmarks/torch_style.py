"""Style transfer in torch, the reference of the benchmark."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from vizlab import nets

__all__ = ['ALPHA', 'BETA', 'DEEP', 'STYLES', 'references']

ALPHA, BETA = 1.0, 1000.0
DEEP, STYLES = 'relu4_2', tuple(f'relu{i}_1' for i in range(1, 6))


def references(
  net: nets.Network, x: np.ndarray, y: np.ndarray
) -> dict[str, Callable[[int], list[float]]]:
  """Returns functions from a number of evaluations to their losses.

  Empty if torch is not installed.

  Args:
    net: A VGG with average pooling and inputs of 0 to 255.
    x: Content image ``[H, W, 3]`` in [0, 1].
    y: Style image ``[H, W, 3]`` in [0, 1].
  """
  try:
    import torch
  except ModuleNotFoundError:
    print('torch is not installed: the reference is left out')
    return {}
  runs = {}
  for suffix, layout in (
    ('', torch.contiguous_format),
    (', channels_last', torch.channels_last),
  ):
    layers = list(_layers(torch, net, layout))
    maps = functools.partial(_maps, torch, layers, layout)
    runs[f'torch L-BFGS{suffix}'] = _reference(torch, maps, net.spec, x, y)
  return runs


def _layers(
  torch: Any, net: nets.Network, layout: Any
) -> Iterator[tuple[str, Any, Any]]:
  """Yields ``(block_index, kernel, bias)`` up to the deepest layer needed."""
  for name, params in nets.get_params(net).items():
    kernel = np.asarray(params['kernel']).transpose(3, 2, 0, 1)
    weights = torch.tensor(kernel.copy()).contiguous(memory_format=layout)
    yield name[4:], weights, torch.tensor(np.asarray(params['bias']).copy())
    if name == 'conv5_1':
      return


def _maps(
  torch: Any, layers: list[tuple[str, Any, Any]], layout: Any, x: Any
) -> dict[str, Any]:
  """Computes the maps ``relu1_1`` ... of an image, with average pooling."""
  x = x.contiguous(memory_format=layout)
  maps, block = {}, '1'
  for name, kernel, bias in layers:
    if name[0] != block:
      x, block = torch.nn.functional.avg_pool2d(x, 2), name[0]
    x = torch.relu(torch.nn.functional.conv2d(x, kernel, bias, padding=1))
    maps[f'relu{name}'] = x
  return maps


def _reference(
  torch: Any,
  maps: Callable[[Any], dict[str, Any]],
  spec: nets.InputSpec,
  x: np.ndarray,
  y: np.ndarray,
) -> Callable[[int], list[float]]:
  """Returns a function from a number of L-BFGS evaluations to their losses."""

  def preprocessed(image: np.ndarray) -> Any:
    image = np.asarray(spec(jnp.asarray(image)))[None].transpose(0, 3, 1, 2)
    return torch.tensor(image.copy())

  def gram(a: Any) -> Any:
    flat = a[0].flatten(1)
    return flat @ flat.T / flat.shape[1]

  with torch.no_grad():
    content = maps(preprocessed(x))[DEEP]
    painted = {
      k: gram(a) for k, a in maps(preprocessed(y)).items() if k in STYLES
    }

  def run(count: int, start: np.ndarray = x) -> list[float]:
    image = preprocessed(start).requires_grad_()
    lbfgs = torch.optim.LBFGS(
      [image],
      max_iter=count,
      max_eval=count,
      history_size=100,
      tolerance_grad=0,
      tolerance_change=0,
    )
    losses: list[float] = []

    def evaluate() -> Any:
      lbfgs.zero_grad()
      activations = maps(image)
      loss = ALPHA / 2 * (activations[DEEP] - content).square().sum()
      for layer, wanted in painted.items():
        apart = (gram(activations[layer]) - wanted).square().sum()
        loss = loss + BETA / len(STYLES) * apart / (4 * len(wanted) ** 2)
      loss.backward()
      losses.append(loss.item())
      return loss

    lbfgs.step(evaluate)
    return losses

  return run
