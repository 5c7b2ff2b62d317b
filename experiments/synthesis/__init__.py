"""Feature visualization, DeepDream, inversion."""
