"""Trials of a sweep, their names, and settings drawn at random."""

import json
import types

import numpy as np
import pytest
from ml_collections import ConfigDict

from vizlab.runs import experiments
from vizlab.sweeps import space
from vizlab_experiments.configs.style import transfer as style_transfer

ADD = space.Adder


def sweep_of(body):
  module = types.ModuleType('configs.fake')
  module.sweep = body
  return module


def test_helpers_nest():
  both = ADD.product(ADD.zip(a=(1, 2), b=(3, 4)), c=(5, 6))
  assert both == [
    {'a': 1, 'b': 3, 'c': 5},
    {'a': 1, 'b': 3, 'c': 6},
    {'a': 2, 'b': 4, 'c': 5},
    {'a': 2, 'b': 4, 'c': 6},
  ]
  assert ADD.chain(both[:1], ADD.product(d=(7,))) == [both[0], {'d': 7}]
  assert ADD.zip(ADD.product(a=(1, 2)), b=(3, 4)) == [
    {'a': 1, 'b': 3},
    {'a': 2, 'b': 4},
  ]


def test_random_trials_are_the_same_for_the_same_seed():
  axes = {
    'rate': ADD.log_uniform(1e-4, 1e-1),
    'share': ADD.uniform(0.2, 0.3),
    'kind': ADD.choice('a', 'b'),
  }
  many = ADD.random(400, seed=3, **axes)
  assert ADD.random(5, seed=3, **axes) == many[:5]
  assert ADD.random(5, seed=4, **axes) != many[:5]
  rates = np.log10([trial['rate'] for trial in many])
  counts = np.histogram(rates, bins=3, range=(-4, -1))[0]
  assert counts.sum() == 400 and counts.min() > 90, 'as many in every factor'
  assert all(0.2 <= trial['share'] <= 0.3 for trial in many)
  assert {trial['kind'] for trial in many} == {'a', 'b'}


def test_wrong_helpers_are_named():
  with pytest.raises(ValueError, match=r'zip: got parts of \[2, 1\] values'):
    ADD.zip(a=(1, 2), b=(3,))
  with pytest.raises(ValueError, match=r"sweep: got \['a'\] twice"):
    ADD.product(ADD.product(a=(1,)), a=(2,))
  with pytest.raises(ValueError, match='log_uniform: got 0, 1'):
    ADD.log_uniform(0, 1)


@pytest.mark.parametrize('name', experiments.known())
def test_every_config_has_a_sweep_that_it_admits(name):
  module = experiments.config_module(name)
  assert '' in space.names(module)
  for sweep in space.names(module):
    found = space.trials(module, sweep, module.get_config())
    assert len(found) >= 2
    assert len({trial.name for trial in found}) == len(found)
    config = space.apply(found[-1], module.get_config())
    assert json.loads(json.dumps(config.to_dict())) != json.loads(
      json.dumps(module.get_config().to_dict())
    )


def test_names_say_what_differs_and_suit_any_file_system():
  def body(add):
    add(beta=2500.0, **{'net.pool': 'max', 'content': '/a b/photo: 1.png'})

  (trial,) = space.trials(sweep_of(body), '', style_transfer.get_config())
  assert trial.name == '0000_beta=2500_net.pool=max_content=-a-b-photo-1.png'
  config = space.apply(trial, style_transfer.get_config())
  assert (config.beta, config.net.pool) == (2500.0, 'max')
  long = space.Trial(3, {'content': 'x' * 500})
  assert len(long.name) < 140


@pytest.mark.parametrize(
  ('body', 'message'),
  [
    (lambda add: None, 'is empty'),
    (
      lambda add: add(bta=1.0),
      "setting: got 'bta'.*did you mean 'beta'",
    ),
    (lambda add: add(beta='much'), "trial 0, {'beta': 'much'}"),
    (lambda add: add(add.product(beta=(1.0, 1.0))), 'trials 0 and 1 are both'),
    (lambda add: add(add.product(beta=(1.0, 1))), 'trials 0 and 1 are both'),
    (lambda add: add(beta=float('nan')), 'config.beta: got nan'),
    (lambda add: add(add.random(2, seed=0, beta=0.1)), 'random: got beta=0.1'),
    (lambda add: add(steps=print), 'sweep: .*is not JSON serializable'),
  ],
)
def test_a_wrong_sweep_is_named(body, message):
  with pytest.raises(ValueError, match=message):
    space.trials(sweep_of(body), '', style_transfer.get_config())


def test_numpy_numbers_and_dicts_are_trials():
  def body(add):
    add(add.product(steps=np.arange(2, 4)))
    add({'beta': 3.0})

  found = space.trials(sweep_of(body), '', style_transfer.get_config())
  assert [t.overrides for t in found] == [
    {'steps': 2},
    {'steps': 3},
    {'beta': 3.0},
  ]


def test_an_unknown_sweep_is_named():
  with pytest.raises(ValueError, match="name: got 'optimiser'.*'optimizer'"):
    space.trials(style_transfer, 'optimiser', style_transfer.get_config())


def test_a_config_without_a_sweep_is_told():
  module = types.ModuleType('my_config')
  with pytest.raises(ValueError, match='config: my_config defines no sweep'):
    space.trials(module, '', ConfigDict())
  module.sweep = lambda add: None
  with pytest.raises(ValueError, match="name: got 'big', expected none: the"):
    space.trials(module, 'big', ConfigDict())
