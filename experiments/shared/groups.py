"""Groups of the units of a layer that are active together."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import nets, probes

__all__ = ['Groups', 'Seen', 'between', 'by_group', 'found_groups']


class Seen(NamedTuple):
  """Activations of a layer, and gradients of the logit of a class.

  Attributes:
    acts: Activations ``[h, w, C]``.
    gradients: Those of the logit by them, ``[h, w, C]``.
  """

  acts: np.ndarray
  gradients: np.ndarray

  @property
  def contributions(self) -> np.ndarray:
    """Activation times gradient, ``[h, w, C]``."""
    return self.acts * self.gradients


class Groups(NamedTuple):
  """Non-negative factors of the activations of a layer.

  Attributes:
    positions: Where each group is active, ``[h, w, G]``.
    units: The mix of units of each group, ``[G, C]``.
  """

  positions: np.ndarray
  units: np.ndarray

  def shares(self, acts: np.ndarray) -> np.ndarray:
    """Share of each group in each activation, ``[G, h, w, C]`` in [0, 1].

    Together they are at most 1; the rest belongs to no group.
    """
    parts = np.einsum('hwg,gc->ghwc', self.positions, self.units)
    whole = np.maximum(np.maximum(parts.sum(0), acts), 1e-12)
    return np.where(acts > 0, parts / whole, 0)


def found_groups(acts: np.ndarray, count: int, seed: int) -> Groups:
  """Non-negative factors of activations ``[h, w, C]``."""
  from sklearn.decomposition import NMF

  positive = np.maximum(acts, 0).reshape(-1, acts.shape[-1])
  model = NMF(count, init='nndsvda', random_state=seed, max_iter=1000)
  positions = model.fit_transform(positive.astype(np.float64))
  return Groups(
    positions.reshape(*acts.shape[:2], -1).astype(np.float32),
    model.components_.astype(np.float32),
  )


def by_group(seen: Seen, groups: Groups) -> np.ndarray:
  """Contribution of each group to the logit, ``[G]``."""
  return np.einsum('ghwc,hwc->g', groups.shares(seen.acts), seen.contributions)


def between(
  net: nets.Network,
  image: np.ndarray,
  layers: tuple[str, str],
  seen: tuple[Seen, Seen],
  groups: tuple[Groups, Groups],
) -> np.ndarray:
  """Contributions to the logit of groups of a layer through those of another.

  Args:
    net: The network.
    image: The image ``[H, W, 3]``.
    layers: Names of the lower and of the upper layer.
    seen: Their activations and gradients.
    groups: Their groups, ``G`` and ``H``.

  Returns:
    ``[G + 1, H + 1]``; the last row and column are of what is in no group.
    Where all paths from the lower layer to the logit go through the upper one,
    the sum of a row is the contribution of the lower group to the logit. That
    of a column is the contribution of the upper group where the layers between
    are linear and have no bias, too.
  """
  lower, upper = (
    _with_the_rest(each.shares(of.acts))
    for each, of in zip(groups, seen, strict=True)
  )
  read = jax.jit(
    lambda net, x, part: probes.contributions(
      net, layers[0], part[None], x[None], upper=layers[1]
    )[0]
  )
  moved = np.stack([read(net, image, jnp.asarray(part)) for part in lower])
  return np.einsum('ghwc,khwc,hwc->gk', moved, upper, seen[1].gradients)


def _with_the_rest(shares: np.ndarray) -> np.ndarray:
  return np.concatenate([shares, 1 - shares.sum(0, keepdims=True)])
