import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


def pytest_collection_modifyitems(items):
  """These tests need torch; they skip without the extra `parity`."""
  try:
    import torch  # noqa: F401
  except ModuleNotFoundError:
    for item in items:
      if 'parity' in item.path.parts:
        item.add_marker(pytest.mark.skip(reason='needs the extra "parity"'))
