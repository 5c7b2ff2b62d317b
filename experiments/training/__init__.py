"""Training of our own networks."""
