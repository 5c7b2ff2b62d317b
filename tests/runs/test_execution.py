import json
import types

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vizlab.runs import execute, experiments

CONFIG = ConfigDict({'experiment': 'mine', 'seed': 0})


def returning(results):
  module = types.ModuleType('mine', 'It returns.')
  module.prepare = lambda config: config
  module.run = lambda inputs, recorder: results
  return module


def test_numbers_of_numpy_and_jax_are_numbers(tmp_path):
  results = {'a': np.float32(1.5), 'b': jnp.int32(3), 'c': jnp.ones(()), 'd': 2}
  got = execute(returning(results), CONFIG, tmp_path)
  assert got == {'a': 1.5, 'b': 3, 'c': 1.0, 'd': 2}
  assert {type(v) for v in got.values()} == {int, float}
  assert json.loads((tmp_path / 'DONE').read_text()) == got
  assert execute(returning(None), CONFIG, tmp_path) == got, 'it is read'


@pytest.mark.parametrize(
  ('results', 'message'),
  [
    (None, 'run: returned NoneType, expected numbers by name'),
    ({'a': 'high'}, "run: returned str as 'a', expected a number"),
    ({'a': np.ones(2)}, "run: returned ndarray as 'a', expected a number"),
  ],
)
def test_other_results_are_errors(results, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    execute(returning(results), CONFIG, tmp_path)
  assert not (tmp_path / 'DONE').exists()


def test_changed_code_is_recorded_and_told(tmp_path, capsys):
  path = tmp_path / 'mine.py'
  code = """def prepare(config): ...

def run(inputs, recorder):
  raise KeyboardInterrupt
"""

  def start():
    module = experiments.find(CONFIG, tmp_path)
    return execute(module, CONFIG, tmp_path / 'run')

  path.write_text(code)
  for _ in range(2):
    with pytest.raises(KeyboardInterrupt):
      start()
    assert capsys.readouterr().err == ''
  (first,) = json.loads((tmp_path / 'run' / 'run.json').read_text())[
    'code'
  ].values()
  path.write_text(code.replace('raise KeyboardInterrupt', "return {'a': 1}"))
  assert start() == {'a': 1}
  told = capsys.readouterr().err
  assert told.startswith('mine.py has changed since this run began')
  record = json.loads((tmp_path / 'run' / 'run.json').read_text())
  assert record['earlier code'] == [{'mine.py': first}]
  assert record['code']['mine.py'] != first


def test_the_code_of_vizlab_is_its_revision(tmp_path):
  name = 'attribution/explain'
  config = experiments.config_module(name).get_test_config()
  module = experiments.experiment_module(name)
  execute(module, config, tmp_path / 'run')
  record = json.loads((tmp_path / 'run' / 'run.json').read_text())
  assert record['code'] == {} and 'earlier code' not in record
