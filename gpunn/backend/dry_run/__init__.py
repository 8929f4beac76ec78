"""The CUDA backend with nothing behind it: launches are written down, and memory is addresses only.

The same Python as on a GPU chooses kernels, tiles and grids, so what is written down is what a GPU of that compute
capability would be told to do. Nothing is computed, and nothing is known of times.
"""

from __future__ import annotations
