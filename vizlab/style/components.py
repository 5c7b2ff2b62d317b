"""Fewer statistics: a net whose maps are seen along their main components."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp

from vizlab.image import statistics
from vizlab.objectives.base import feature_map
from vizlab.objectives.contract import run_net
from vizlab.types import Acts, Array, Edits, Net, pytree_dataclass

__all__ = ['principal']


@pytree_dataclass
class _Projected:
  """See `principal`."""

  net: Net
  bases: Mapping[str, Array]

  def __call__(
    self, x: Array, edits: Edits | None = None
  ) -> tuple[Array | None, Acts]:
    """Runs the net; its logits stay as they are."""
    logits, acts = run_net(self.net, x, edits)
    projected = {
      layer: acts[layer] @ basis for layer, basis in self.bases.items()
    }
    return logits, {**acts, **projected}


def principal(net: Net, image: Array, layers: Sequence[str], count: int) -> Net:
  """The net with some maps projected on the principal components of an image's.

  A style matched through it is one of ``count (count + 1) / 2`` numbers a layer
  for Gram matrices.

  Args:
    net: A net.
    image: ``[H, W, 3]``, whose activations have these components.
    layers: Names of layers that give maps.
    count: How many components of each are kept; all where it has fewer.

  Raises:
    ValueError: An unknown layer, or fewer than one.

  Reference:
    Gatys, Ecker & Bethge 2015, section 3 (texture models of fewer parameters).
  """
  if count < 1:
    raise ValueError(f'count: got {count}, expected 1 or more')
  acts = run_net(net, image)[1]
  return _Projected(
    net, {layer: _basis(feature_map(acts, layer), count) for layer in layers}
  )


def _basis(a: Array, count: int) -> Array:
  """The directions ``[C, count]`` in which a map varies most."""
  vectors = jnp.linalg.eigh(statistics.covariance(a)[1])[1]
  return vectors[:, ::-1][:, :count]
