"""Incremental occlusion: equal to running every occluded image."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import jit_once

from vizlab import nets
from vizlab.attribution import Occluder, occlusion_scores
from vizlab.nets.graph import init_params
from vizlab.nets.incremental import regions
from vizlab.nets.layers import (
  AveragePool,
  Conv,
  Dense,
  GlobalPool,
  Layer,
  Pointwise,
  ReLU,
)
from vizlab.objectives import logit, probability, score, top_label, total
from vizlab.rules import PoolWindow

# Net, sides of the image, patch, stride. Odd sizes and patches, strides that
# leave a rest, patches that hang over the border, patches of one pixel and of
# nearly everything; stride-4 convolutions and overlapping, padded and
# rounded-up pooling; joined and residual branches.
CASES = [
  pytest.param(('alexnet', (79, 95), 21, 13), marks=pytest.mark.slow),
  ('caffe_alexnet', (98, 71), 9, 9),
  ('zfnet', (75, 90), 15, 11),
  ('vgg11', (71, 64), 9, 8),
  pytest.param(('vgg16', (71, 64), 9, 8), marks=pytest.mark.slow),
  pytest.param(('vgg19', (48, 57), 7, 7), marks=pytest.mark.slow),
  ('squeezenet11', (59, 66), 13, 9),
  ('resnet18', (65, 48), 12, 10),
  ('resnet20', (32, 27), 7, 5),
  pytest.param(('googlenet', (50, 67), 18, 13), marks=pytest.mark.slow),
  ('minivgg', (21, 17), 1, 1),
  ('minivgg', (33, 64), 32, 27),
]


def every_occluded_image(x, patch, stride, fill):
  """``[..., H, W, 3]`` to ``[..., rows, columns, H, W, 3]``, one by one."""
  fill = np.broadcast_to(fill, x.shape)
  spans = [Occluder(patch, stride).spans(n) for n in x.shape[-3:-1]]
  images = []
  for top, bottom in spans[0]:
    for left, right in spans[1]:
      image = np.array(x)
      image[..., top:bottom, left:right, :] = fill[
        ..., top:bottom, left:right, :
      ]
      images.append(image)
  images = np.stack(images, -4)
  return images.reshape(*x.shape[:-3], *map(len, spans), *x.shape[-3:])


def check(net, objective, x, *, patch, stride, fill=0.5, **settings):
  asked = score(net, objective)
  fast = jit_once(
    lambda asked, x: occlusion_scores(
      asked, x, patch=patch, stride=stride, fill=fill, **settings
    )
  )(asked, x)
  occluded = every_occluded_image(x, patch, stride, fill)
  full = jit_once(lambda asked, x: asked(x))(asked, occluded)
  for a, b in zip(jax.tree.leaves(fast), jax.tree.leaves(full), strict=True):
    assert a.shape == b.shape and a.dtype == b.dtype
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
  return fast


@pytest.mark.parametrize('case', CASES, ids=str)
def test_equals_whole_images(case):
  arch, size, patch, stride = case
  head = arch in ('alexnet', 'minivgg', 'resnet18', 'resnet20')
  net = nets.create(arch, key=jax.random.key(1), classifier=head)
  x = jax.random.uniform(jax.random.key(0), (1, *size, 3))
  objective = logit(3)
  if not head:
    last = net.ops[-1].name
    sums = jax.jit(lambda net, x: net(x)[1][last].sum((0, 1, 2)))(net, x)
    objective = total(last, int(sums.argmax()))
  swept = check(net, objective, x, patch=patch, stride=stride, fill=0.9)
  assert float(swept.max() - swept.min()) > 0


def test_lines_and_mean_windows():
  ops = (
    Conv('conv', 8),
    AveragePool('mean', PoolWindow(3, 1, 1)),
    ReLU('relu'),
    AveragePool('half'),
    Conv('row', 8, (1, 5), 1, (0, 2)),
    Conv('column', 8, (5, 1), 1, (2, 0)),
    GlobalPool('gap'),
    Dense('fc', 4),
  )
  spec = nets.InputSpec(48)
  params = init_params(ops, spec.shape, jax.random.key(1))
  net = nets.Network('lines', ops, spec, params)
  plan = regions.plan(ops, spec.shape, [(3, 7)], [(8, 12)])
  assert plan['half'] and plan['row'] is None
  x = jax.random.uniform(jax.random.key(0), (1, 48, 41, 3))
  swept = check(net, logit(3), x, patch=9, stride=8)
  assert float(swept.max() - swept.min()) > 0


def test_the_three_records_of_the_paper_with_the_real_minivgg(minivgg, images):
  objective = {
    'probability': probability(5),
    'label': top_label(),
    'activation': total('relu4_2', 5),
  }
  records = check(minivgg, objective, images, patch=11, stride=9, chunk=7)
  assert records['activation'].shape == (5, 6, 6)
  assert records['label'].dtype == jnp.int32


@pytest.mark.parametrize('lead', [(), (2, 1)], ids=str)
def test_any_leading_batch_and_a_fill_for_each_image(lead, minivgg, images):
  x = images[: int(np.prod(lead))].reshape(*lead, 48, 48, 3)
  fill = jnp.flip(x, -2)
  swept = check(minivgg, logit(3), x, patch=16, stride=16, fill=fill)
  assert swept.shape == (*lead, 3, 3)


@pytest.mark.parametrize(('patch', 'chunk'), [(24, 1), (48, 16)])
def test_one_place_at_once(patch, chunk, minivgg, images):
  settings = {'patch': patch, 'stride': patch, 'chunk': chunk}
  check(minivgg, logit(3), images[:2], **settings)


def test_average_pooling(images):
  net = nets.create('zfnet', classifier=False, pool='avg')
  x = jnp.pad(images[:1], ((0, 0), (10, 10), (10, 10), (0, 0)))
  check(net, total('relu4', 2), x, patch=20, stride=17)


def test_a_subclass_that_runs_in_another_way_is_swept_in_full(minivgg, images):
  class Inverted(nets.Network):
    def __call__(self, x, edits=None):
      return super().__call__(1 - x, edits)

  net = Inverted(
    minivgg.arch, minivgg.ops, minivgg.spec, nets.get_params(minivgg)
  )
  check(net, logit(3), images[:1], patch=24, stride=24)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'rows': []}, 'rows: got none, expected'),
    ({'columns': [(8, 3)]}, r'columns: got \(8, 3\), expected'),
    ({'columns': [(48, 60)]}, r'columns: got \(48, 60\), expected'),
    ({'chunk': 0}, 'chunk: got 0'),
    ({'other': jnp.zeros((48, 48, 3))}, 'other: got shape'),
  ],
)
def test_wrong_boxes_are_named(change, message, minivgg, images):
  boxes = {'rows': [(0, 8)], 'columns': [(4, 12)], 'other': images}
  with pytest.raises(ValueError, match=message):
    minivgg.occlude(score(minivgg, logit(0)).read, images, **boxes | change)


CHANGED = [('alexnet', 80), ('squeezenet11', 60), ('resnet18', 64)]


@pytest.mark.parametrize(('arch', 'side'), CHANGED)
def test_what_a_box_changes_lies_in_its_window(arch, side):
  """The plan against the net itself, layer by layer."""
  net = nets.create(arch, classifier=False)
  x = jax.random.uniform(jax.random.key(0), (side, side, 3))
  spans = np.array(Occluder(9, 9).spans(side))
  plan = regions.plan(net.ops, x.shape, spans, spans[::-1])
  before = net(x)[1]
  seen = 0
  for place, ((top, bottom), (left, right)) in enumerate(
    zip(spans, spans[::-1], strict=True)
  ):
    boxed = np.array(x)
    boxed[top:bottom, left:right] = 9.0
    after = net(boxed)[1]
    for name, window in plan.items():
      if name is None or window is None:
        continue
      changed = np.not_equal(after[name], before[name]).any(-1)
      rows, columns = (
        slice(axis.first[place], axis.last[place]) for axis in window
      )
      outside = changed.copy()
      outside[rows, columns] = False
      assert not outside.any(), (name, place)
      seen += changed[rows, columns].any()
  assert seen > 20


def test_multiplications_are_those_of_the_published_net():
  ops = nets.architecture('vgg16').layers()
  full = regions.multiplications(ops, (224, 224, 3))
  assert full == 15_470_264_320
  spans = Occluder(32, 16).spans(224)
  boxes = [(r, c) for r in spans for c in spans]
  plan = regions.plan(ops, (224, 224, 3), *zip(*boxes, strict=True))
  ratio = full / regions.multiplications(ops, (224, 224, 3), plan)
  assert 5.2 < ratio < 5.3  # worked out by hand: 5.2
  assert plan['conv3_3'].rows.frame.size == 18
  assert plan['conv5_3'] is None, 'by then everything is in reach'


@dataclasses.dataclass(frozen=True)
class Centred(Layer):
  """Subtracts the mean over all positions, and says nothing of its window."""

  def __call__(self, params, rules, *xs):
    return xs[0] - xs[0].mean((1, 2), keepdims=True)


@dataclasses.dataclass(frozen=True)
class Squared(Pointwise):
  """Treats every position alone, and says so."""

  def __call__(self, params, rules, *xs):
    return xs[0] ** 2


def test_a_layer_of_ones_own_is_taken_to_read_everything(tiny):
  first, relu, *rest = tiny.ops
  net = nets.Network(
    'mine',
    (first, relu, Squared('square'), Centred('centred'), *rest),
    tiny.spec,
    nets.get_params(tiny),
  )
  found = regions.plan(net.ops, (24, 24, 3), [(0, 6)], [(0, 6)])
  assert found['square'] is not None and found['centred'] is None
  x = jax.random.uniform(jax.random.key(8), (2, 24, 24, 3))
  check(net, logit(3), x, patch=6, stride=6)
