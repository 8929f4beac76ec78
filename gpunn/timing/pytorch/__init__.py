"""PyTorch as a contestant: the same network, weights, pictures and optimiser, on the same device."""

from gpunn.timing.pytorch.contestant import pytorch_contestant
from gpunn.timing.pytorch.translation import pytorch_network

__all__ = ["pytorch_contestant", "pytorch_network"]
