"""Configs of style transfer and textures."""
