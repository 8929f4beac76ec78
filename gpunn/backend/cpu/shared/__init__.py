"""What operations share: cutting arrays to fit a cache, activation functions, pooling windows, columns of images."""
