"""The examples, links and tables of the README and the pages."""

import pathlib
import re

import pytest
from tools import examples

from vizlab.runs import experiments

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text()
PARTS = 'experiments', 'scripts', 'vizlab'
ARCHITECTURE = (ROOT / '.github' / 'ARCHITECTURE.md').read_text()
EXPERIMENTS = (ROOT / 'experiments' / 'README.md').read_text()
PAGES = [
  str(path.relative_to(ROOT))
  for path in (
    *ROOT.glob('README.md'),
    *(ROOT / '.github').glob('*.md'),
    *sorted((ROOT / '.docs' / 'guides').glob('*.md')),
    *(page for part in PARTS for page in sorted((ROOT / part).rglob('*.md'))),
  )
]


@pytest.mark.parametrize(
  ('page', 'number'),
  [
    # The README's always; the other pages are run as slow tests.
    pytest.param(page, i, marks=[] if page == 'README.md' else pytest.mark.slow)
    for page in PAGES
    for i in range(len(examples(page)))
  ],
)
def test_example_runs(page, number, tmp_path, monkeypatch):
  example = examples(page)[number]
  monkeypatch.chdir(tmp_path)
  exec(compile(example, f'{page} example {number}', 'exec'), {})


def test_library_example_is_short():
  lines = [line for line in examples('README.md')[0].splitlines() if line]
  assert len(lines) <= 10


def test_links_lead_somewhere():
  for page in PAGES:
    text = re.sub('```.*?```', '', (ROOT / page).read_text(), flags=re.S)
    headings = re.findall(r'^#+ (.*)$', text, re.M)
    for path, anchor in re.findall(r'\]\(([^)#]*)#?([^)]*)\)', text):
      assert '://' in path or ((ROOT / page).parent / path).exists(), path
      assert not anchor or anchor in map(str.lower, headings), anchor


def test_the_readme_is_read_in_five_minutes():
  assert len(README.split()) <= 900


def test_every_experiment_has_a_row():
  for name in experiments.known():
    assert (
      f'--config={name} ' in EXPERIMENTS or f'--config={name}`' in EXPERIMENTS
    )


def test_picture_is_small():
  for path in re.findall(r'!\[.*?\]\((.*?)\)', README):
    assert (ROOT / path).stat().st_size < 300_000


def test_map_names_what_is_there():
  for path in re.findall(
    r'^    ((?:vizlab|experiments|configs|scripts)\S*)', ARCHITECTURE, re.M
  ):
    assert (ROOT / path).exists(), path
