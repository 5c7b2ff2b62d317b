"""Configs of networks that make images."""
