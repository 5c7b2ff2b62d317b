"""A small net, a page's examples, and the one table of methods for the laws."""

import ast
import contextlib
import ctypes
import dataclasses
import functools
import gc
import inspect
import pathlib
import re
import resource
import subprocess
import sys
from collections.abc import Callable

import jax
import numpy as np
from jax._src.interpreters import mlir

from vizlab import attribution, io, nets
from vizlab.nets.architectures.transformation import super_resolution
from vizlab.nets.graph import init_params
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layers import Conv, Dense, GlobalPool, Pool, ReLU
from vizlab.nets.network import Network
from vizlab.runs import execute, experiments, stopping
from vizlab.runs.settings import assign

# JAX makes an MLIR context for each program, in 1.2 MB and 3 ms, and keeps it:
# eight times the memory of a small program. One serves all.
if make := getattr(mlir, 'make_ir_context', None):
  mlir.make_ir_context = functools.cache(make)
# For large programs that run once: to optimise them, as the slow tests do,
# takes longer than they then run.
jit_once = functools.partial(
  jax.jit, compiler_options={'xla_backend_optimization_level': 0}
)
_MANY = 1.0  # gigabytes from which programs are forgotten
_GROWTH = 0.15  # and by which a process has grown since it last forgot
_floor = 0.0


def resident():
  """Gigabytes of memory that this process holds; 0 where it is not known."""
  statm = pathlib.Path('/proc/self/statm')
  if not statm.exists():
    return 0.0
  return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**30


def forget_programs():
  """Forgets compiled programs if this process holds many gigabytes.

  Each holds memory, of which a process would take gigabytes, and mappings of
  memory, of which Linux allows 65,530.
  """
  global _floor
  if resident() < max(_MANY, _floor + _GROWTH):
    return
  jax.clear_caches()
  if make:
    mlir.make_ir_context.cache_clear()
  gc.collect()
  if sys.platform == 'linux':
    ctypes.CDLL(None).malloc_trim(0)
  _floor = resident()


def make_tiny(seed):
  """A small chain with every kind of layer that a VGG has, and biases."""
  ops = (
    Conv('conv1', 8),
    ReLU('relu1'),
    Pool('pool1'),
    Conv('conv2', 12),
    ReLU('relu2'),
    Pool('pool2'),
    GlobalPool('gap'),
    Dense('fc', 6),
  )
  spec = InputSpec(16, (0.5,) * 3, (0.25,) * 3)
  key = jax.random.key(seed)
  params = init_params(ops, (16, 16, 3), key)
  for i, layer in enumerate(params.values()):
    bias = jax.random.normal(jax.random.fold_in(key, i), layer['bias'].shape)
    layer['bias'] = 0.1 * bias
  return Network('tiny', ops, spec, params)


def examples(page):
  """The python blocks of a Markdown file of the repository."""
  text = (pathlib.Path(__file__).parent.parent / page).read_text()
  return re.findall(r'```python\n(.*?)```', text, re.S)


def defaults(package):
  """The numbers and names that the public functions of a package default to.

  Returns:
    ``{function: {argument: default}}``, without those that default to nothing,
    a flag, or an object.
  """
  found = {}
  for name in package.__all__:
    made = getattr(package, name)
    if not callable(made) or isinstance(made, type):
      continue
    arguments = inspect.signature(made).parameters.values()
    settings = {
      a.name: a.default
      for a in arguments
      if isinstance(a.default, int | float | str | tuple)
      and not isinstance(a.default, bool)
      and a.default is not a.empty
    }
    found |= {name: settings} if settings else {}
  return found


def definitions(page, name):
  """Imports and definitions of the one example that defines ``name``."""
  keep = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
  found = []
  for example in examples(page):
    tree = ast.parse(example)
    tree.body = [node for node in tree.body if isinstance(node, keep)]
    space: dict = {}
    exec(compile(tree, page, 'exec'), space)
    found += [space] if name in space else []
  (only,) = found
  return only


@contextlib.contextmanager
def locked(path):
  """Another process holds the lock of a file in the meantime."""
  code = (
    'import sys, time\n'
    'from vizlab import io\n'
    'class Owner: pass\n'
    'owner = Owner()\n'
    'io.lock(sys.argv[1], owner)\n'
    "print('locked', flush=True)\n"
    'time.sleep(60)\n'
  )
  other = subprocess.Popen(
    [sys.executable, '-c', code, path], stdout=subprocess.PIPE
  )
  try:
    assert other.stdout.readline() == b'locked\n'
    yield
  finally:
    other.kill()
    other.communicate()


def start(name, workdir, **changes):
  """Runs an experiment as its tests do, with some settings changed."""
  config = experiments.config_module(name).get_test_config()
  assign(config, changes)
  return execute(experiments.experiment_module(name), config, workdir)


def read(path, name):
  """The arrays that a run saved as ``name.npz``."""
  with np.load(path / f'{name}.npz') as file:
    return dict(file)


def start_and_stop(name, workdir, monkeypatch, *, every, most=40, **changes):
  """Like `start`, but stopped at every so many chances to stop, and resumed.

  Returns the results, and how often the run was stopped.
  """
  count, check = 0, stopping.check

  def stop():
    nonlocal count
    count += 1
    if count % every == 0:
      raise KeyboardInterrupt
    check()

  with monkeypatch.context() as patch:
    patch.setattr(stopping, 'check', stop)
    for stops in range(most):
      with contextlib.suppress(KeyboardInterrupt):
        return start(name, workdir, **changes), stops
  raise AssertionError(f'{name} has not ended after {most} stops')


def stops_of_the_same(name, path, monkeypatch, *, every=3, weights=None):
  """Runs an experiment whole and with stops, which must end the same.

  The ``weights`` that it writes are compared, too. Returns how often it was
  stopped.
  """
  wanted = start(name, path / 'whole')
  found, stops = start_and_stop(name, path / 'run', monkeypatch, every=every)
  assert {**found, 'train_seconds': 0} == {**wanted, 'train_seconds': 0}
  if weights:
    ours, theirs = (
      nets.get_params(nets.load(path / kind / weights))
      for kind in ('whole', 'run')
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
  return stops


def write_tasks(path):
  """Writes tasks of classification: two files of arrays, photos by WordNet."""
  for seed, name in enumerate(('task', 'task2')):
    r = np.random.default_rng(seed)
    np.savez(
      path / f'{name}.npz',
      x_train=r.integers(0, 256, (12, 16, 16, 3), np.uint8),
      y_train=np.arange(12) % 2,
      x_test=r.integers(0, 256, (6, 16, 16, 3), np.uint8),
      y_test=np.arange(6) % 2,
    )
  (path / 'wordnet').mkdir()
  ids = 'n02085620', 'n02099601', 'n02708093'  # two dogs and a clock
  names = [f'{k}_{name}_{i}' for k, name in enumerate(ids) for i in range(6)]
  write_pictures(path / 'wordnet', names)


def write_pictures(path, names):
  """Writes a sample, turned and flipped in another way for each name."""
  sample = io.read_image('sample:star_and_square', shorter=96, crop=96)
  picture = (sample * 255).round().astype(np.uint8)
  for i, name in enumerate(names):
    turned = np.rot90(picture if i < 4 else picture[::-1], i)
    io.write_png(path / f'{name}.png', np.ascontiguousarray(turned))


def assert_same_shards(one, other):
  """Two work directories of `attribution/folder` hold the same maps."""
  names = sorted(path.name for path in one.glob('maps-*.npz'))
  assert names == sorted(path.name for path in other.glob('maps-*.npz'))
  assert names
  for name in names:
    arrays, others = np.load(one / name), np.load(other / name)
    assert sorted(arrays) == sorted(others)
    for key in arrays:
      np.testing.assert_array_equal(arrays[key], others[key], f'{name} {key}')


@dataclasses.dataclass(frozen=True)
class Method:
  """A method as ``(score, x) -> map``, and what it gives for ``[..., H, W]``.

  Attributes:
    call: The method with small settings, for the net `tiny`.
    colour: Whether the map has the channels of the image.
    net: Whether it needs a `Score`, or takes any function.
    size: Sides of the map where it is not the image's, as a function.
  """

  call: Callable
  colour: bool = True
  net: bool = False
  size: Callable = staticmethod(lambda h, w: (h, w))


def _places(h, w):
  occluder = attribution.Occluder(6, 4)
  return occluder.count(h), occluder.count(w)


def _at(method, layer='relu2', **settings):
  """A method that looks at a layer, as ``(score, x) -> map``."""
  return lambda score, x: method(score, x, layer=layer, **settings)


KEY = jax.random.key(7)

METHODS = {
  'gradient': Method(attribution.gradient),
  'saliency': Method(attribution.saliency, colour=False),
  'gradient_x_input': Method(attribution.gradient_x_input),
  'deconvnet': Method(attribution.deconvnet, net=True),
  'guided_backprop': Method(attribution.guided_backprop, net=True),
  'fullgrad': Method(attribution.fullgrad, colour=False, net=True),
  'lrp': Method(attribution.lrp, net=True),
  'integrated_gradients': Method(
    lambda score, x: attribution.integrated_gradients(
      score, x, baseline=0.1, steps=7, chunk=15
    )
  ),
  'smoothgrad': Method(
    lambda score, x: attribution.smoothgrad(
      score, x, KEY, samples=7, sigma=0.1, chunk=15
    )
  ),
  'cam': Method(
    _at(attribution.cam, layer='pool2', pooled='gap'), colour=False, net=True
  ),
  **{
    name: Method(_at(getattr(attribution, name)), colour=False, net=True)
    for name in ('grad_cam', 'grad_cam_pp', 'hires_cam', 'layer_cam')
  },
  'score_cam': Method(
    _at(attribution.score_cam, chunk=15), colour=False, net=True
  ),
  'guided_grad_cam': Method(_at(attribution.guided_grad_cam), net=True),
  'occlusion': Method(
    lambda score, x: attribution.occlusion(
      score, x, patch=6, stride=4, chunk=15
    ),
    colour=False,
  ),
  'occlusion_scores': Method(
    lambda score, x: attribution.occlusion_scores(
      score, x, patch=6, stride=4, chunk=15
    ),
    colour=False,
    size=_places,
  ),
}


def write_enlarger(path, factor=4):
  """Writes a small network that enlarges images, with random weights."""
  arch = f'super_resolution_x{factor}'
  ops = super_resolution(factor, 3, 0)
  params = init_params(ops, (8, 8, 3), jax.random.key(9))
  nets.save(
    nets.Network(arch, ops, nets.architecture(arch).spec(), params), path
  )
