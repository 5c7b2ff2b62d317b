"""Every config runs end to end on the embedded net, and then is a no-op."""

import pathlib

import pytest
import tools

from vizlab.runs import execute, experiments, settings
from vizlab_experiments.shared.methods import METHODS


@pytest.mark.slow
@pytest.mark.parametrize('name', experiments.known())
def test_config_runs_and_a_second_run_is_a_no_op(name, tmp_path):
  module = experiments.config_module(name)
  assert (
    f'vizlab-run --config={name}' in module.__doc__
    and 'Expect' in module.__doc__
  )
  config = module.get_test_config()
  assert config.experiment == name
  settings.validate(config, module.get_config(), name)
  experiment = experiments.experiment_module(name)
  results = execute(experiment, config, tmp_path / 'run')
  before = {p: p.stat().st_mtime_ns for p in (tmp_path / 'run').rglob('*')}
  assert execute(experiment, config, tmp_path / 'run') == results
  after = {p: p.stat().st_mtime_ns for p in (tmp_path / 'run').rglob('*')}
  assert before == after
  assert pathlib.Path(tmp_path / 'run' / 'report.html').stat().st_size > 1000


def test_every_method_is_in_the_experiments():
  assert {*tools.METHODS} - {'occlusion_scores'} <= {*METHODS}
