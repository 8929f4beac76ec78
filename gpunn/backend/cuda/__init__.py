"""The contract on CUDA: every function checks its arrays, picks a kernel and a grid, and launches it.

The same functions serve a GPU, through CuPy, and the emulator; only opening a GPU imports CuPy.
"""

from __future__ import annotations

from gpunn.backend.cuda.activation import activation_backward, activation_forward
from gpunn.backend.cuda.convolution import convolution2d_forward, convolution2d_forward_workspace
from gpunn.backend.cuda.memory import (
    add,
    concatenate_backward,
    concatenate_forward,
    copy,
    fill,
    flatten_backward,
    flatten_forward,
    scale,
)
from gpunn.backend.cuda.optimizer import sgd

__all__ = [
    "activation_backward",
    "activation_forward",
    "add",
    "concatenate_backward",
    "concatenate_forward",
    "convolution2d_forward",
    "convolution2d_forward_workspace",
    "copy",
    "fill",
    "flatten_backward",
    "flatten_forward",
    "scale",
    "sgd",
]
