"""What the README shows is what works."""

import pathlib
import re

import pytest

from experiments import common

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text()
EXAMPLES = re.findall(r'```python\n(.*?)```', README, re.S)


@pytest.mark.parametrize('number', range(len(EXAMPLES)))
def test_example_runs(number, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  exec(compile(EXAMPLES[number], f'README example {number}', 'exec'), {})


def test_library_example_is_short():
  lines = [line for line in EXAMPLES[0].splitlines() if line.strip()]
  assert len(lines) <= 10


def test_every_experiment_has_a_row():
  for name in common.known():
    assert f'--config=configs/{name}.py' in README


def test_picture_is_small():
  for path in re.findall(r'!\[.*?\]\((.*?)\)', README):
    assert (ROOT / path).stat().st_size < 300_000


def test_map_names_what_is_there():
  for path in re.findall(
    r'^    ((?:vizlab|experiments|configs|scripts)\S*)', README, re.M
  ):
    assert (ROOT / path).exists(), path
