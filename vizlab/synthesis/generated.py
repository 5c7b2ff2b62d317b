"""Images that a trained generator makes of a bounded code."""

import types

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.objectives.base import activation
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net, number, pytree_dataclass

__all__ = ['Generated', 'generated']

Shape = tuple[int, ...]
_INSIDE = 1e-3  # of the range: a code at its end would have no gradient


@pytree_dataclass(static=('shape', 'layer'))
class Generated:
  """See `generated`."""

  net: Net
  shape: Shape
  bound: Array
  start: Array
  noise: Array
  layer: str

  def init(self, key: Array) -> Array:
    """Logits of the shares of the range, of the shape of the code."""
    start, bound = (
      jnp.broadcast_to(v, self.shape) for v in (self.start, self.bound)
    )
    share = start / jnp.maximum(bound, 1e-12)
    logits = jax.scipy.special.logit(jnp.clip(share, _INSIDE, 1 - _INSIDE))
    draw = jax.random.normal(key, self.shape, jnp.float32)
    return logits + self.noise * draw

  def code(self, z: Array) -> Array:
    """The code, ``bound sigmoid(z)``."""
    return jnp.broadcast_to(self.bound, z.shape) * jax.nn.sigmoid(z)

  def decode(self, z: Array) -> Array:
    """The image that the generator makes of the code."""
    made = activation(run_net(self.net, self.code(z))[1], self.layer)
    return jnp.clip(made, 0, 1)


def generated(
  net: Net,
  shape: Shape,
  *,
  bound: float | Array,
  start: float | Array = 0.0,
  noise: float = 0.5,
  layer: str = 'image',
) -> Generated:
  """Images of a generator, whose code is optimized between 0 and a bound.

  The images are those that the generator can make: what it has learned of them
  is the prior. The paper clips the code after each step; here it is the sigmoid
  of what is optimized, times the bound, which has a gradient everywhere.

  Args:
    net: A net that makes images of codes: the decoder of a layer, or any
      function ``(code, edits=None) -> (None, {layer: image})`` that is a
      pytree, such as a `jax.tree_util.Partial`.
    shape: Shape of the codes, with a batch: ``(..., h, w, C)``.
    bound: Largest code, from 0, of a shape that broadcasts; for the activations
      of a layer three of their standard deviations.
    start: Code to start from, in the same way, from 0; where it is beyond the
      bound the code starts there.
    noise: Standard deviation of what is added to its logits.
    layer: Name of the activation that is the image.

  Raises:
    ValueError: A number is not finite or negative, or a shape does not fit.

  References:
    Nguyen, Dosovitskiy, Yosinski, Brox & Clune 2016 (DGN-AM), section 2.

  >>> import jax, jax.numpy as jnp
  >>> from jax.tree_util import Partial
  >>> def paint(colour, code, edits=None):
  ...   return None, {'image': code * colour}
  >>> net = Partial(paint, jnp.array([1.0, 0.5, 0.0]).reshape(1, 1, 1, 3))
  >>> image = generated(net, (2, 8, 8, 1), bound=1.0)
  >>> image.decode(image.init(jax.random.key(0))).shape
  (2, 8, 8, 3)
  """
  if isinstance(net, types.FunctionType):
    raise ValueError(
      f'net: got the function {net.__name__}, expected a pytree such as '
      'jax.tree_util.Partial(function)'
    )
  bound, start = number(bound, 'bound', 0.0), number(start, 'start', 0.0)
  for name, value in (('bound', bound), ('start', start)):
    try:
      np.broadcast_to(np.empty(np.shape(value), bool), tuple(shape))
    except ValueError as error:
      raise ValueError(
        f'{name}: got shape {np.shape(value)}, expected one that broadcasts to '
        f'{tuple(shape)}'
      ) from error
  return Generated(
    net,
    tuple(shape),
    bound,
    start,
    number(noise, 'noise', 0.0),
    layer,
  )
