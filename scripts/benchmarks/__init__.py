"""Helper modules of ``scripts/benchmark.py``."""
