"""What operations share: cutting arrays to fit a cache, pooling windows, statistics of columns, the end of a layer."""
