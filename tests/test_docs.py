"""The documentation builds without a warning, and its pictures are small."""

import pathlib
import subprocess
import sys

import pytest

from vizlab.runs import experiments

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / '.docs'
PICTURES = sorted((DOCS / 'gallery').iterdir())
# What the reference leaves out: helpers, and commands that --help describes.
HELPERS = {'__init__', 'batching', 'commands', 'extrema', 'lookup', 'trees'}


@pytest.mark.slow
def test_it_builds(tmp_path):
  pytest.importorskip('sphinx')
  pytest.importorskip('furo')
  command = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q']
  done = subprocess.run(
    [*command, '-d', tmp_path / 'doctrees', DOCS, tmp_path / 'html'],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  gallery = (tmp_path / 'html' / 'gallery.html').read_text()
  for name in experiments.known():
    assert name in gallery


def test_picture_shows_an_experiment_that_exists():
  names = {f'{name.replace("/", "_")}.jpg' for name in experiments.known()}
  assert {path.name for path in PICTURES} <= names


def test_pictures_are_small():
  sizes = [path.stat().st_size for path in PICTURES]
  assert max(sizes) <= 150_000
  assert sum(sizes) < 3_000_000


def test_every_package_has_a_page():
  inside = ROOT / 'vizlab'
  modules = [*inside.glob('*.py'), *inside.glob('*/__init__.py')]
  names = {str(path.relative_to(inside)).split('/')[0] for path in modules}
  pages = {path.stem for path in (DOCS / 'api').glob('*.rst')}
  assert {name.removesuffix('.py') for name in names} - HELPERS <= pages
