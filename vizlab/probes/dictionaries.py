"""Sparse dictionaries of activations: top-k autoencoders."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.types import Array, whole

__all__ = [
  'Dictionary',
  'decode',
  'dictionary_loss',
  'encode',
  'new_dictionary',
  'unit_atoms',
]

_REVIVAL = 1 / 32  # weight of what dead atoms could add


class Dictionary(NamedTuple):
  """Atoms of which activations are sparse, nonnegative sums.

  Attributes:
    encoder: ``[C, D]``, the direction that each atom answers to.
    bias: ``[D]``, added to the answer.
    atoms: ``[D, C]``, the directions that are summed.
    centre: ``[C]``, from which the sum begins.
  """

  encoder: Array
  bias: Array
  atoms: Array
  centre: Array


def new_dictionary(key: Array, centre: Array, atoms: int) -> Dictionary:
  """Dictionary of random atoms of length 1, which it also answers to.

  Args:
    key: Random key.
    centre: ``[C]``, such as the mean of the activations.
    atoms: Number of atoms.
  """
  size = whole(atoms, 'atoms'), len(centre)
  drawn = jax.random.normal(key, size, centre.dtype)
  drawn = drawn / jnp.linalg.norm(drawn, axis=1, keepdims=True)
  return Dictionary(
    drawn.T, jnp.zeros(atoms, centre.dtype), drawn, jnp.asarray(centre)
  )


def encode(dictionary: Dictionary, x: Array, active: int) -> Array:
  """Codes of activations: the largest answers, all others zero.

  ``top_k(relu((x - centre) encoder + bias))``

  Args:
    dictionary: The dictionary.
    x: Activations ``[..., C]``.
    active: Largest number of atoms that are not zero, 1 to D.

  Returns:
    ``[..., D]``, nonnegative.

  References:
    Makhzani & Frey 2014, "k-Sparse Autoencoders"; Gao et al. 2024, "Scaling and
    Evaluating Sparse Autoencoders", equation 3.

  >>> import jax.numpy as jnp
  >>> both = Dictionary(jnp.eye(2), jnp.zeros(2), jnp.eye(2), jnp.zeros(2))
  >>> encode(both, jnp.array([[3.0, 4.0], [2.0, -1.0]]), 1).tolist()
  [[0.0, 4.0], [2.0, 0.0]]
  """
  return _largest(_answers(dictionary, x), active)


def decode(dictionary: Dictionary, codes: Array) -> Array:
  """Activations ``[..., C]`` of codes ``[..., D]``: sums of atoms."""
  lead = (1,) * (codes.ndim - 1)
  return codes @ dictionary.atoms + dictionary.centre.reshape(*lead, -1)


def dictionary_loss(
  dictionary: Dictionary, x: Array, *, active: int, dead: Array
) -> tuple[Array, Array]:
  """Squared error of the reconstruction, and what dead atoms leave of it.

  ``|x - x'|^2 + |x - x' - e|^2 / 32``, where ``e`` is the sum of the dead atoms
  that answer most, as many as may be active. The second term has no influence
  on other atoms; without it, atoms that answer but are never among the largest
  are not trained.

  Args:
    dictionary: The dictionary.
    x: Activations ``[B, C]``.
    active: Number of atoms of an activation, 1 to D.
    dead: bool ``[D]``, atoms that have been silent for long.

  Returns:
    The loss ``[B]`` and the codes ``[B, D]``.

  References:
    Gao et al. 2024, section 2.4 and appendix A.2.
  """
  answers = _answers(dictionary, x)
  codes = _largest(answers, active)
  error = x - decode(dictionary, codes)
  added = _largest(jnp.where(dead[None], answers, 0), active) @ dictionary.atoms
  left = jax.lax.stop_gradient(error) - added
  loss = jnp.square(error).sum(-1) + _REVIVAL * jnp.square(left).sum(-1)
  return loss, codes


def unit_atoms(dictionary: Dictionary) -> Dictionary:
  """The same dictionary with atoms of length 1, if none is zero.

  Codes of short atoms would be large, and those of long ones small, for free.
  """
  length = jnp.linalg.norm(dictionary.atoms, axis=1, keepdims=True)
  atoms = dictionary.atoms / jnp.where(length > 0, length, 1)
  return dictionary._replace(atoms=atoms)


def _answers(dictionary: Dictionary, x: Array) -> Array:
  lead = (1,) * (x.ndim - 1)
  centred = x - dictionary.centre.reshape(*lead, -1)
  answers = centred @ dictionary.encoder + dictionary.bias.reshape(*lead, -1)
  return jax.nn.relu(answers)


def _largest(answers: Array, active: int) -> Array:
  """The ``active`` largest numbers of each row, all others zero."""
  count = answers.shape[-1]
  if not 1 <= active <= count:
    raise ValueError(f'active: got {active}, expected 1 to {count}')
  values, at = jax.lax.top_k(answers, active)
  return jnp.put_along_axis(
    jnp.zeros_like(answers), at, values, -1, inplace=False
  )
