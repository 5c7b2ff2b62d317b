"""Adversarial images."""
