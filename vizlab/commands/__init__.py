"""The commands ``vizlab-run``, ``vizlab-sweep`` and ``vizlab-convert``.

They build on `vizlab.runs` and `vizlab.sweeps`, and share flags.
"""

from vizlab.commands.main import vizlab_convert, vizlab_run, vizlab_sweep

__all__ = ['vizlab_convert', 'vizlab_run', 'vizlab_sweep']
