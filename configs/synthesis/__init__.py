"""Configs of feature visualization, DeepDream, inversion."""
