"""Computation of the units that the microscope shows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes, render, rules, synthesis
from vizlab.objectives import (
  Score,
  channel,
  diversity,
  neuron,
  objective,
  score,
)
from vizlab.runs import files, stopping
from vizlab.runs.recorder import Recorder, flat
from vizlab.types import Acts, Array, ImageParam
from vizlab_experiments.shared.icons import paint
from vizlab_experiments.shared.images import Images
from vizlab_experiments.shared.microscope import Layer, Link, Unit, write_unit
from vizlab_experiments.shared.projections import PROJECTIONS, patch, projector
from vizlab_experiments.shared.surveys import Survey
from vizlab_experiments.shared.weights import weights_between

__all__ = ['AT_ONCE', 'THUMBNAIL', 'Subject', 'UnitMaker', 'image_problem']

AT_ONCE = 8  # units that are computed and saved together
THUMBNAIL = 96  # side of a unit's picture in the report, in pixels
_PATCH = 72  # side of a patch in pixels


class Subject(NamedTuple):
  """Network, layers and images of a microscope.

  Attributes:
    config: The config.
    net: The network.
    layers: Layers of the site, from low to high.
    names: Names of the classes.
    images: The images that are searched.
  """

  config: ConfigDict
  net: nets.Network
  layers: tuple[Layer, ...]
  names: list[str]
  images: Images

  @property
  def kind(self) -> str:
    """Kind of the images."""
    return 'photos' if self.config.photos else 'scenes'

  def unit_names(self, at: int) -> list[str]:
    """Names of the units of a layer; only classes have one."""
    info = self.layers[at].info
    if info.name == self.net.ops[-1].name:
      return self.names
    return [''] * info.shape[-1]


class UnitMaker:
  """Computes units of a layer and writes their pages."""

  def __init__(
    self,
    subject: Subject,
    recorder: Recorder,
    surveys: dict[str, Survey],
    at: int,
  ) -> None:
    """Prepares the layer of index ``at``."""
    self.subject, self.at = subject, at
    self.layer = subject.layers[at]
    self.site = recorder.workdir / files.SITE
    self.survey = surveys[self.layer.info.name]
    self.project = projector('neuron', self.layer.info)
    # Weights of all units, [upper, h, w, lower], from below and to above.
    self.below = self.above = None
    if at:
      self.below = _weights(subject, recorder, at)
    if at + 1 < len(subject.layers):
      self.above = _weights(subject, recorder, at + 1)

  def make(self, rows: slice) -> dict[str, np.ndarray]:
    """Computes some units, and returns what the index needs of them."""
    config, net, layers, _, images = self.subject
    info = self.layer.info
    numbers = np.array(self.layer.numbers[rows])
    strongest, weakest = (
      jax.tree.map(lambda v: np.asarray(v)[numbers], each)
      for each in (self.survey.strongest, self.survey.weakest)
    )
    x = images[strongest.images]
    made = self._images(numbers)
    maps = self._projected(numbers, x, strongest.places)
    effects = jax.tree.map(
      np.asarray, _mean_effects(net, x, numbers, info.name)
    )
    for i, k in enumerate(numbers.tolist()):
      stopping.check()
      field = nets.unit_field(net, info.name, k)
      unit = Unit(
        number=k,
        name=self.subject.unit_names(self.at)[k],
        made=list(made[i]),
        top=[
          _patches(field, pictures, strongest.places[i])
          for pictures in (
            render.to_uint8(x[i]),
            *([render.rgb(m) for m in each[i]] for each in maps.values()),
          )
        ],
        rows=['patches', *PROJECTIONS],
        values=strongest.values[i],
        bottom=_patches(
          field, render.to_uint8(images[weakest.images[i]]), weakest.places[i]
        ),
        weakest=-weakest.values[i],
        incoming=self._incoming(k),
        outgoing=self._outgoing(k),
        classes=self._classes(*(v[i] for v in effects)),
        **self._activity(k),
      )
      write_unit(
        self.site,
        net.arch,
        layers,
        self.at,
        unit,
        len(images),
        self.subject.kind,
      )
    thumbnails = [render.resize(each[0], THUMBNAIL) for each in made]
    return {'thumbnails': np.stack(thumbnails), **effects._asdict()}

  def _images(self, numbers: np.ndarray) -> np.ndarray:
    """Pictures that excite the units, ``[U, 1 + diverse, H, W, 3]`` uint8."""
    config, net, _, _, _ = self.subject
    # Always as many, so that one program makes all of a layer.
    padded = np.resize(numbers, min(AT_ONCE, len(self.layer.numbers)))
    problem = image_problem(config, net, self.layer.info, padded)
    return paint(config, *problem)[: len(numbers)]

  def _projected(
    self, numbers: np.ndarray, x: np.ndarray, places: np.ndarray
  ) -> dict[str, np.ndarray]:
    """Maps ``[U, top, H, W, 3]`` of the strongest images of each unit."""
    config, net, _, _, _ = self.subject
    each = np.repeat(numbers, x.shape[1])
    batches = [
      v.reshape(-1, *v.shape[2:])
      for v in (x, each.reshape(x.shape[:2]), places)
    ]
    parts = [
      self.project(net, *(v[i : i + config.batch] for v in batches))
      for i in range(0, len(each), config.batch)
    ]
    return {
      name: np.concatenate([part[name] for part in parts]).reshape(x.shape)
      for name in PROJECTIONS
    }

  def _incoming(self, k: int) -> list[Link]:
    if self.below is None:
      return []
    return self._links(self.at - 1, np.moveaxis(self.below[k], -1, 0))

  def _outgoing(self, k: int) -> list[Link]:
    if self.above is None:
      return []
    return self._links(self.at + 1, self.above[..., k])

  def _links(self, at: int, weights: np.ndarray) -> list[Link]:
    """Units of another layer with the largest weights, of ``[C, h, w]``."""
    if not weights.any():  # branches beside each other
      return []
    known = np.array(self.subject.layers[at].numbers)
    total = weights.sum((1, 2))
    names = self.subject.unit_names(at)
    return [
      Link(int(j), weights[j], float(total[j]), names[j])
      for j in known[_ends(total[known], self.subject.config.links)]
    ]

  def _classes(
    self, attribution: np.ndarray, ablation: np.ndarray
  ) -> list[tuple[str, float, float]]:
    """The classes that a unit raises and lowers most, by ablation."""
    return [
      (self.subject.names[j], float(ablation[j]), float(attribution[j]))
      for j in _ends(ablation, self.subject.config.classes)
    ]

  def _activity(self, k: int) -> dict[str, Any]:
    activity = self.survey.activity
    # Between the open bins: those of positive activations from 0.001 on.
    shares, edges = (
      np.asarray(activity.histogram[k])[3:-1],
      probes.log_edges()[2:],
    )
    used = np.flatnonzero(shares)
    first, last = (used[0], used[-1] + 1) if used.size else (0, len(shares))
    return {
      'active': float(activity.active[k]),
      'mean': float(activity.mean[k]),
      'shares': shares[first:last],
      'edges': edges[first : last + 1],
    }


def image_problem(
  config: ConfigDict, net: nets.Network, info: nets.LayerInfo, units: np.ndarray
) -> tuple[Score, ImageParam]:
  """Score of images ``[U, 1 + diverse, H, W, 3]`` of units, and the images."""
  make = channel if len(info.shape) == 3 else neuron
  wanted = make(info.name, units[:, None])
  if config.diverse:
    # That of a vector, such as the logits, is the diversity of the last map.
    maps = [row.name for row in nets.layer_info(net) if len(row.shape) == 3]
    layer = info.name if info.name in maps else maps[-1]
    wanted = wanted + config.diversity * _others_differ(layer)
  shape = (len(units), 1 + config.diverse, config.size, config.size, 3)
  score_fn = score(net, wanted).with_rules(relu=rules.redirected_relu)
  return score_fn, synthesis.fourier(shape)


@objective
def _others_differ(logits: Array | None, acts: Acts, layer: str) -> Array:
  """Diversity of all images but the first, which it leaves alone."""
  a = acts[layer]
  first = jax.lax.stop_gradient(a[:, :1])
  a = jnp.concatenate([first, a[:, 1:]], 1)
  return diversity(layer)(logits, {layer: a}).at[:, 0].set(0)


def _weights(subject: Subject, recorder: Recorder, at: int) -> np.ndarray:
  """Weights from the layer below a layer to it, ``[upper, h, w, lower]``."""
  lower, upper = (subject.layers[i].info for i in (at - 1, at))
  units = np.arange(upper.shape[-1])

  def make() -> dict[str, np.ndarray]:
    net = subject.net
    return {'weights': weights_between(net, upper.name, units, lower.name)}

  name = f'weights/{flat(upper.name)}'
  return recorder.part(name, slice(0, len(units)), make)['weights']


@jax.jit(static_argnames='layer')
def _mean_effects(
  net: nets.Network, x: Array, units: Array, layer: str
) -> probes.Effects:
  """Effects ``[U, K]`` of units, each over its images ``[U, B, H, W, 3]``."""

  def of_one(item: tuple[Array, Array]) -> probes.Effects:
    effects = probes.effects(net, layer, *item)
    return jax.tree.map(lambda v: v.mean(0), effects)

  return jax.lax.map(of_one, (units, x))


def _ends(values: np.ndarray, count: int) -> np.ndarray:
  """Indices of the largest and of the smallest values, the largest first."""
  order = np.argsort(-values, kind='stable')
  if count >= len(order):
    return order
  return np.concatenate(
    [order[: count - count // 2], order[len(order) - count // 2 :]]
  )


def _patches(
  field: nets.Field | None,
  pictures: Sequence[np.ndarray],
  places: np.ndarray,
) -> list[np.ndarray]:
  """Pictures cut to what the unit sees, all of one size."""
  return [
    render.resize(patch(picture, field, place), _PATCH)
    for picture, place in zip(pictures, places, strict=True)
  ]
