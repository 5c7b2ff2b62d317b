"""Many runs of an experiment: which settings, where, and a report of all."""

from vizlab.sweeps.reader import load_sweep
from vizlab.sweeps.sweep import Sweep, counts, run

__all__ = ['Sweep', 'counts', 'load_sweep', 'run']
