"""These tests need torch; without the extra ``parity`` they are left out."""

import importlib.util

if importlib.util.find_spec('torch') is None:
  collect_ignore_glob = ['*.py']
