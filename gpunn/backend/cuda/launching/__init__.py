"""The door to kernels: sources, their signatures, arguments that fit them, grids."""
