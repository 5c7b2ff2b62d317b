"""Whole runs of experiments are slow tests: they compute, and CI runs them."""

import pathlib

import pytest

_QUICK = {
  'test_bad_settings',
  'test_configs',
  'test_every_setting',
  'test_explain',
  'test_images',
}


def pytest_collection_modifyitems(items):
  for item in items:
    here = item.path.parent == pathlib.Path(__file__).parent
    if here and item.path.stem not in _QUICK:
      item.add_marker(pytest.mark.slow)
