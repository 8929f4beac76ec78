"""gpunn trains convolutional networks on hand-written CUDA kernels, with a NumPy backend beside them."""

from __future__ import annotations

__version__ = "0.1.0"
