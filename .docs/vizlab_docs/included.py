"""Links of the repository's pages, where these are included here.

A page such as ``experiments/README.md`` links to files of the repository. Where
one of them is a page of the documentation, the link leads there.
"""

import os
import pathlib
import re
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {
  '.github/ARCHITECTURE.md': 'architecture',
  '.github/CONTRIBUTING.md': 'contributing',
  '.github/your_own_model.md': 'guides/your_own_model',
  'CHANGELOG.md': 'changelog',
  'experiments/README.md': 'guides/run_and_sweep',
  'scripts/benchmarks/README.md': 'speed',
  'vizlab/README.md': 'guides/make_images',
  'vizlab/nets/README.md': 'networks',
  'vizlab/sweeps/README.md': 'guides/run_and_sweep',
}


def _rewrite(app: Any, path: Any, parent: str, content: list[str]) -> None:
  folder = (pathlib.Path(app.srcdir) / path).resolve().parent

  def link(match: re.Match) -> str:
    target = os.path.relpath(folder / match[1], ROOT)
    return f'](/{PAGES[target]}.md)' if target in PAGES else match[0]

  content[0] = re.sub(r'\]\(([^)#:]+)\)', link, content[0])


def setup(app: Any) -> dict[str, bool]:
  """Registers the rewriting of links."""
  app.connect('include-read', _rewrite)
  return {'parallel_read_safe': True, 'parallel_write_safe': True}
