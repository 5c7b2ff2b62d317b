"""Chromium without a window, for the tests of pages."""

import json
import re
import shutil
import subprocess

import pytest

__all__ = ['browse', 'needs_browser', 'opened']

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
needs_browser = pytest.mark.skipif(
  CHROMIUM is None, reason='needs Chromium, which is not installed'
)
FLAGS = (
  *('--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'),
  *('--disable-background-networking', '--disable-component-update'),
  *('--disable-sync', '--virtual-time-budget=3000', '--enable-logging=stderr'),
)


def opened(page, script, tmp_path, width=1600):
  """Document after a script ran in a page from disk; nothing is logged."""
  code = f'<script>addEventListener("load", () => {{ {script} }});</script>'
  changed = page.with_name('changed.html')
  changed.write_text(page.read_text().replace('</html>', f'{code}</html>'))
  done = subprocess.run(
    [
      *(CHROMIUM, *FLAGS, f'--window-size={width},900', '--dump-dom'),
      *(f'--user-data-dir={tmp_path / "profile"}', changed.as_uri()),
    ],
    capture_output=True,
    text=True,
    timeout=120,
  )
  changed.unlink()
  assert 'CONSOLE' not in done.stderr, done.stderr[-2000:]
  return done.stdout


def browse(page, script, tmp_path, width=1600):
  """Notes that a script of a page made in ``told``."""
  script = (
    f'const told = {{}}; {script} '
    'document.body.dataset.told = JSON.stringify(told);'
  )
  shown = opened(page, script, tmp_path, width)
  found = re.search(r'data-told="([^"]*)"', shown)
  assert found, shown[-2000:]
  return json.loads(found[1].replace('&quot;', '"'))
