"""Settings of the whole suite, and the nets and images that tests share."""

import gc
import itertools
import os
import pathlib

# Most of the suite's time is compilation, of thousands of programs that then
# run for milliseconds; without what makes them fast it takes less than half as
# long. What is computed stays the same, and the benchmark compiles as users do.
os.environ.setdefault(
  'XLA_FLAGS',
  '--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false '
  '--xla_llvm_disable_expensive_passes=true '
  '--xla_cpu_parallel_codegen_split_count=1',
)
# Nobody reads from which lines a compiled operation came.
os.environ.setdefault('JAX_TRACEBACK_IN_LOCATIONS_LIMIT', '0')
import jax
import jax.numpy as jnp
import pytest
from tools import make_tiny

from vizlab import nets
from vizlab.data.scenes import scenes
from vizlab.runs import experiments

experiments.folder()  # from here on they can be imported
# Tracing makes many objects that live, and few cycles.
gc.set_threshold(100_000, 20, 50)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_numpy_dtype_promotion', 'strict')
# The tolerances are those of float32 on a CPU.
jax.config.update('jax_platforms', 'cpu')

ROOT = pathlib.Path(__file__).parent.parent


MAPS = pathlib.Path('/proc/self/maps')
_tests = itertools.count()


@pytest.fixture(autouse=True)
def _few_programs():
  """Forgets compiled programs before there are too many.

  Each takes some mappings of memory, of which Linux allows a process 65,530;
  the compiler crashes at one more.
  """
  yield
  if next(_tests) % 10 == 0 and MAPS.exists():
    with MAPS.open('rb') as lines:
      if sum(1 for _ in lines) > 20_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope='session')
def assets():
  """The folder of real weights and photos; without it these tests skip."""
  folder = os.environ.get('VIZLAB_ASSETS')
  if not folder or not pathlib.Path(folder).is_dir():
    pytest.skip('VIZLAB_ASSETS is not set')
  return pathlib.Path(folder)


@pytest.fixture(scope='session')
def minivgg():
  return nets.load('minivgg')


@pytest.fixture(scope='session')
def images():
  """Five scenes of 48 pixels."""
  return scenes(jax.random.key(0), 5, size=48).image


@pytest.fixture(scope='session')
def tiny():
  return make_tiny(0)


@pytest.fixture
def linear():
  """A linear score ``sum(weight * x) + 2``, with its weight."""
  weight = jax.random.normal(jax.random.key(3), (12, 16, 3))

  def score(x):
    return jnp.einsum('...hwc,hwc->...', x, weight, precision='highest') + 2.0

  return score, weight
