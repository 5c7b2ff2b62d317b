"""Configs of training of our own networks."""
