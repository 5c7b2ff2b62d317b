"""vizlab: looking into convolutional networks, and making images with them."""

__version__ = '0.1.0'
