"""Experiments: one module a family, each with ``run(config, workdir)``."""
