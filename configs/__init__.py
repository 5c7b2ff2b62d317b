"""The settings of our experiments, a file each."""
