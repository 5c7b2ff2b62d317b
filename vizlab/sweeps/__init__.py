"""Hyperparameter sweeps: trials, executors, report."""

from vizlab.sweeps.reader import load_sweep
from vizlab.sweeps.sweep import Sweep, counts, run

__all__ = ['Sweep', 'counts', 'load_sweep', 'run']
