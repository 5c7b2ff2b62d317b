"""The nouns of vizlab as types, and the glossary of shapes.

Every array at the API is one of these:

* image: ``[..., H, W, 3]``, RGB, float32 in [0, 1]. ``...`` is any leading
  batch, most often one axis ``[B]``. A net owns its preprocessing, so the same
  image goes to any net.
* logits: ``[..., K]``, one number a class, before the softmax. ``None`` for a
  net without a classifier.
* acts: ``{name: [..., H', W', C]}`` for maps, ``{name: [..., C]}`` for vectors:
  every named activation of a net.
* score: ``[...]``, one number an image: what a method explains or optimises.

The six nouns:

* `Net`: ``net(x, edits=None) -> (logits, acts)``.
* Objective: ``objective(logits, acts) -> [...]``, closed under ``+ - *``.
* Penalty: ``penalty(image) -> [...]``.
* ImageParam: ``init(key) -> z`` and ``decode(z) -> image``.
* Augment: ``augment(key, image) -> image``.
* step rule: an ``optax.GradientTransformation``.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import jax

Array = jax.Array
Acts = dict[str, Array]
Edits = Mapping[str, Callable[[Array], Array]]
ScoreFn = Callable[[Array], Array]

__all__ = ['Acts', 'Array', 'Edits', 'Net', 'ScoreFn']


class Net(Protocol):
  """A network: ``(x, edits=None) -> (logits, acts)``.

  ``edits`` maps a layer's name to a function that is applied to its activation
  before the next layer reads it; the edited value is the one in ``acts``.

  A net may know more of itself, as `vizlab.nets.Network` does. ``sweep`` reads
  it with each of many boxes of the image replaced, faster than by running it as
  often; occlusion uses it where it is there. ``biases`` tells what each layer
  adds; FullGrad needs it.
  """

  def __call__(
    self, x: Array, edits: Edits | None = None
  ) -> tuple[Array | None, Acts]:
    """Runs the net on images ``[..., H, W, 3]``."""
