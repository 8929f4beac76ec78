"""A real GPU, through CuPy."""
