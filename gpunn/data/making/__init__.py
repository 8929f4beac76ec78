"""Data sets that gpunn writes: packed ones and rendered ones."""
