import pathlib

import pytest
from ml_collections import ConfigDict

import vizlab
from vizlab.runs import experiments


def test_ours_have_a_config_each():
  names = experiments.known()
  assert {'attribution/explain', 'style/transfer', 'training/minivgg'} <= {
    *names
  }
  assert names == sorted(names)
  beside = pathlib.Path(vizlab.__file__).resolve().parent.parent
  assert experiments.folder() == beside / 'experiments', 'of this clone'
  for name in names:
    assert experiments.config_path(name).is_file()
    module = experiments.find(ConfigDict({'experiment': name}))
    assert callable(module.prepare) and callable(module.run)
  with pytest.raises(
    ValueError, match="config: got 'drem', .*'synthesis/dream'"
  ):
    experiments.config_path('drem')


def test_a_former_name_is_answered_with_the_new_one():
  assert experiments.renamed('style_transfer') == 'style/transfer'
  assert experiments.renamed('dream') == 'synthesis/dream'
  assert experiments.renamed('drem') == ''
  for name in ('train_minivgg', 'minivgg'):
    message = f"config: '{name}' was renamed to 'training/minivgg'"
    with pytest.raises(ValueError, match=message):
      experiments.config_path(name)
  with pytest.raises(
    ValueError, match="config.experiment: 'units' was renamed"
  ):
    experiments.find(ConfigDict({'experiment': 'units'}))


def test_ones_own_stands_beside_its_config(tmp_path):
  for name, text in (('mine', 'X = 3'), ('dream', 'X = 4')):
    both = 'prepare = run = print'
    (tmp_path / f'{name}.py').write_text(f'{text}\n{both}\n')
  mine = ConfigDict({'experiment': 'mine'})
  assert experiments.find(mine, tmp_path).X == 3
  own = experiments.find(ConfigDict({'experiment': 'dream'}), tmp_path)
  assert own.X == 4, 'ours are of a family'
  for config in (mine, ConfigDict({'experiment': ''}), ConfigDict()):
    with pytest.raises(ValueError, match='config.experiment: got'):
      experiments.find(config)


@pytest.mark.parametrize('lacks', ['prepare', 'run'])
def test_ones_own_needs_both_functions(lacks, tmp_path):
  code = 'def prepare(config): ...\ndef run(inputs, recorder): ...\n'
  code = code.replace(f'def {lacks}', 'def other')
  (tmp_path / 'mine.py').write_text(code)
  with pytest.raises(ValueError, match=rf'mine.py has no function {lacks}\('):
    experiments.find(ConfigDict({'experiment': 'mine'}), tmp_path)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(
    ValueError, match=r"got 'mine', expected .* \(there is no .*/mine.py\)"
  ):
    experiments.find(ConfigDict({'experiment': 'mine'}), tmp_path)


def test_settings_are_checked_against_those_of_the_file():
  reference = ConfigDict({'experiment': 'mine', 'rate': 0.5})
  experiments.check(ConfigDict({'experiment': 'mine', 'rate': 2}), reference)
  for wrong in ({'rate': 'a'}, {'rate': 0.5, 'more': 1}, {}):
    with pytest.raises(ValueError, match='config.(rate|more)'):
      experiments.check(ConfigDict({'experiment': 'mine', **wrong}), reference)
  restored = experiments.restored({'experiment': 'mine', 'sizes': [1, 2]})
  assert restored.sizes == (1, 2), 'flags change tuples'
  with pytest.raises(ValueError, match='config.channels: got none'):
    experiments.restored({'experiment': 'synthesis/dream', 'size': 'a'})


def test_a_file_is_python(tmp_path):
  (tmp_path / 'a.txt').write_text('')
  with pytest.raises(ValueError, match='expected a .py file'):
    experiments.load_file(tmp_path / 'a.txt')
