"""Networks that make images: fast style."""
