"""Settings of the whole suite, and the nets and images that tests share."""

import gc
import os
import pathlib
import resource
import sys
import tempfile

# Most of the suite's time is compilation, of thousands of programs that then
# run for milliseconds; without what makes them fast it takes less than half as
# long. What is computed stays the same, and the benchmark compiles as users do.
# The slow tests (-m slow) compute for longer than they compile; the workers
# inherit it.
os.environ.setdefault(
  'XLA_FLAGS',
  f'--xla_backend_optimization_level={int("slow" in sys.argv)} '
  '--xla_cpu_use_fusion_emitters=false '
  '--xla_llvm_disable_expensive_passes=true '
  '--xla_cpu_parallel_codegen_split_count=1',
)
# Workers and modules share what they compile, much of which is the same.
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
  _cache = tempfile.TemporaryDirectory()  # gone with the process
  os.environ['JAX_COMPILATION_CACHE_DIR'] = _cache.name
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  os.environ['JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES'] = '-1'
# Nobody reads from which lines a compiled operation came.
os.environ.setdefault('JAX_TRACEBACK_IN_LOCATIONS_LIMIT', '0')
import jax
import jax.numpy as jnp
import pytest
from tools import forget_programs, make_tiny, resident

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


_peaks = {}


@pytest.fixture(autouse=True)
def _few_programs():
  """Forgets the compiled programs when there are many."""
  forget_programs()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
  _peaks[node.gateway.id] = getattr(node, 'workeroutput', {}).get('peak', 0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
  yield
  if log := os.environ.get('VIZLAB_MEMORY_LOG'):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with open(log, 'a') as file:
      file.write(f'{os.getpid()} {peak:.2f} {resident():.2f} {item.nodeid}\n')


def pytest_sessionfinish(session):
  if hasattr(session.config, 'workeroutput'):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    session.config.workeroutput['peak'] = peak


def pytest_terminal_summary(terminalreporter):
  if peaks := sorted(_peaks.values()):
    gigabytes = ', '.join(f'{peak / 2**20:.2f}' for peak in peaks)
    terminalreporter.write_line(f'peak memory of the workers: {gigabytes} GB')


@pytest.fixture(scope='session')
def assets():
  """The folder of real weights and photos; without it these tests skip."""
  folder = os.environ.get('VIZLAB_ASSETS')
  if not folder or not pathlib.Path(folder).is_dir():
    pytest.skip('VIZLAB_ASSETS is not set')
  return pathlib.Path(folder)


@pytest.fixture
def users_promotion():
  """Users' models broadcast vectors and mix integers with floats."""
  with jax.numpy_rank_promotion('allow'), jax.numpy_dtype_promotion('standard'):
    yield


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
