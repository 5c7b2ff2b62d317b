"""Configs of adversarial images."""
