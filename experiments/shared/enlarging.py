"""Networks that enlarge images, and how faithful they are."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from vizlab import evaluate, generate, nets
from vizlab.image import bicubic, video_luma
from vizlab.nets.architectures.transformation import super_resolution
from vizlab.nets.graph import init_params
from vizlab.types import Array

__all__ = ['LPIPS', 'enlarged', 'scores', 'shrunk', 'untrained']

# Layers that the published heads of LPIPS weigh.
LPIPS = {
  'alexnet': ('relu1', 'relu2', 'relu3', 'relu4', 'relu5'),
  'vgg16': ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3'),
}
_BORDER = 8  # pixels by which an image is continued before it is enlarged
# Of the last convolution of each sum, so that the first steps are small.
_QUIET = 0.1


def untrained(config: ConfigDict) -> nets.Network:
  """The network before training, which adds little to the interpolation."""
  arch = f'super_resolution_x{config.factor}'
  ops = super_resolution(config.factor, config.width, config.blocks)
  side = config.size // config.factor
  params = init_params(ops, (side, side, 3), jax.random.key(config.seed))
  params['conv2']['kernel'] *= _QUIET
  for i in range(1, config.blocks + 1):  # or each would add as much again
    params[f'res{i}b']['kernel'] *= _QUIET
  spec = dataclasses.replace(nets.architecture(arch).spec(), size=side)
  return nets.Network(arch, ops, spec, params)


def shrunk(image: Array, factor: int) -> Array:
  """Images ``[..., H / f, W / f, 3]`` in bytes, by cubic interpolation."""
  small = bicubic(image, [n // factor for n in image.shape[-3:-1]])
  return _in_bytes(small)


@jax.jit(static_argnames='factor')
def enlarged(net: nets.Network | None, small: Array, factor: int) -> Array:
  """An enlarged image in bytes; without a network, by cubic interpolation."""
  if net is None:
    made = bicubic(small, [n * factor for n in small.shape[-3:-1]])
  else:
    made = generate.transformed(
      net, small, border=_BORDER, multiple=1, factor=factor
    )
  return _in_bytes(made)


def scores(
  made: Array,
  truth: Array,
  factor: int,
  judge: nets.Network | None,
  heads: Mapping[str, Array],
) -> dict[str, float]:
  """Fidelity of an enlarged image, by the usual protocol.

  Args:
    made: The enlarged image ``[H, W, 3]``.
    truth: What it should be, of the same shape.
    factor: As many pixels of the border are left out; PSNR in decibels and SSIM
      are those of luma.
    judge: Network of LPIPS; without one it is not measured.
    heads: Its heads, by layer.
  """
  inside = slice(factor, -factor)
  made, truth = (v[inside, inside] for v in (made, truth))
  luma = video_luma(made), video_luma(truth)
  found = {
    'PSNR': evaluate.psnr(*luma),
    'SSIM': evaluate.ssim(*luma, scaled=False),
  }
  if judge is not None:
    found['LPIPS'] = evaluate.lpips(judge, heads, made, truth)
  return {name: float(value) for name, value in found.items()}


def _in_bytes(image: Array) -> Array:
  """An image as it is after it was saved."""
  return jnp.round(jnp.clip(image, 0, 1) * 255) / 255
