"""Configs of attribution: explain, judge, check."""
