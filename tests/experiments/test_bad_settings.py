"""Bad settings are refused by their own names, before anything is written."""

import pytest
from bad_settings import BAD, MAKERS
from tools import start

from vizlab.runs import experiments

WITH_NET = [name for name in experiments.known() if name not in MAKERS]
BAD_NETS = [
  ({'weights': 'no.pth'}, 'config.net.weights: no such file: no.pth'),
  ({'weights': 'vgg'}, "config.net.weights: got 'vgg', expected a weight file"),
  (
    {'arch': 'vgg11'},
    'config.net.weights: .* does not hold the weights of vgg',
  ),
  ({'arch': 'minivg'}, "config.net.arch: got 'minivg', .* mean 'minivgg'"),
  ({'pool': 'mean'}, "config.net.pool: got 'mean', expected one of"),
  ({'dtype': 'half'}, "config.net.dtype: got 'half', expected one of"),
  (
    {'preprocess': 'cafe'},
    "config.net.preprocess: got 'cafe', expected one of",
  ),
]


def check(name, change, message, workdir):
  """A setting is refused by its own name, and nothing is written."""
  with pytest.raises(ValueError, match=message) as caught:
    start(name, workdir, **change)
  told = str(caught.value)
  assert told.startswith('config.') and '\n' not in told
  assert not workdir.exists()


@pytest.mark.parametrize(('name', 'change', 'message'), BAD)
def test_bad_settings_leave_no_work_directory(name, change, message, tmp_path):
  check(name, change, message, tmp_path / 'run')


@pytest.mark.parametrize(('net', 'message'), BAD_NETS)
def test_bad_nets_are_told_by_their_flags(net, message, tmp_path):
  check('probes/units', {'net': net}, message, tmp_path / 'run')


@pytest.mark.parametrize('name', WITH_NET)
def test_every_experiment_names_the_setting_of_its_net(name, tmp_path):
  net, message = BAD_NETS[0]
  check(name, {'net': net}, message, tmp_path / 'run')


def test_every_experiment_has_a_bad_setting():
  assert {name for name, *_ in BAD} == {*experiments.known()}
