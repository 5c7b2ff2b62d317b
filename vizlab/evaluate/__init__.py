"""Judging attributions."""

from vizlab.evaluate.masks import energy_inside

__all__ = ['energy_inside']
