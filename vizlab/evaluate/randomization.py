"""Layer-by-layer randomisation of parameters (Adebayo et al. 2018).

Parameters are ``{layer: {parameter: array}}``, the format of
`vizlab.nets.get_params`.
"""

from collections.abc import Iterator, Mapping, Sequence

import jax

from vizlab.types import Array

__all__ = ['cascading', 'independent']

_Params = Mapping[str, Mapping[str, Array]]


def cascading(
  params: _Params, fresh: _Params, layers: Sequence[str]
) -> Iterator[tuple[str, _Params]]:
  """Randomises layers cumulatively, from the last one downwards.

  Args:
    params: The trained parameters.
    fresh: Newly initialised parameters of the same layers and shapes.
    layers: Names in the order of randomisation, the last layer first.

  Returns:
    An iterator of pairs: a layer, and parameters in which this layer and all
    earlier ones in ``layers`` are randomised.

  Raises:
    ValueError: A layer has no parameters, or the shapes of ``fresh`` differ.
  """
  _check(params, fresh, layers)
  return (
    (layer, {**params, **{name: fresh[name] for name in layers[: i + 1]}})
    for i, layer in enumerate(layers)
  )


def independent(
  params: _Params, fresh: _Params, layers: Sequence[str]
) -> Iterator[tuple[str, _Params]]:
  """Randomises one layer at a time and keeps all others trained.

  Args:
    params: The trained parameters.
    fresh: Newly initialised parameters of the same layers and shapes.
    layers: Names of the layers.

  Returns:
    An iterator of pairs: a layer, and parameters in which only this layer is
    randomised.

  Raises:
    ValueError: A layer has no parameters, or the shapes of ``fresh`` differ.
  """
  _check(params, fresh, layers)
  return ((layer, {**params, layer: fresh[layer]}) for layer in layers)


def _check(params: _Params, fresh: _Params, layers: Sequence[str]) -> None:
  for layer in layers:
    if layer not in params or layer not in fresh:
      raise ValueError(
        f'layers: got {layer!r}, expected some of {sorted(params)}'
      )
    old, new = (
      jax.tree.map(jax.numpy.shape, dict(p[layer])) for p in (params, fresh)
    )
    if old != new:
      raise ValueError(f'fresh: {layer!r} has shapes {new}, expected {old}')
