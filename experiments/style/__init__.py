"""Style transfer and textures."""
