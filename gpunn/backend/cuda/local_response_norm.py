"""Local response normalisation over neighbouring channels on CUDA (Krizhevsky, Sutskever and Hinton, 2012, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpunn.backend.attributes import LocalResponse
from gpunn.backend.contract import Array
from gpunn.backend.cuda.columns import pitched, require_shapes
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launch import Grid
from gpunn.backend.cuda.source import Choices
from gpunn.backend.cuda.vectors import vector_length, wide_choice

_FILE = "local_response_norm.cu"
#: BLOCK_THREADS of the kernels.
_BLOCK_THREADS = 256
_FLOAT_BYTES = np.dtype(np.float32).itemsize


def local_response_norm_forward(
    device: CudaDevice, y: Array, denominator: Array, x: Array, settings: LocalResponse
) -> None:
    """y = x / d^beta; d = k + alpha * sum of x^2 over channels c - n//2 to c - n//2 + n - 1, saved in `denominator`.

    All arrays are (N, H, W, C) of the stored type; y is computed from the unrounded d.

    Raises:
        UsageError: for shapes that differ, or a pixel that does not fit into shared memory (some 50,000 channels).
    """
    require_shapes("local_response_norm_forward", x.shape, y=y, denominator=denominator)
    arrays = pitched(y=y, denominator=denominator, x=x)
    tile = _tile(device, settings.n // 2, settings.n - 1 - settings.n // 2, x, y, denominator)
    device.launcher.launch(
        _FILE,
        "local_response_norm_forward",
        tile.grid(frames=1),
        {**arrays, **tile.arguments, "k": settings.k, "alpha": settings.alpha, "beta": settings.beta},
        tile.choices,
    )


def local_response_norm_backward(
    device: CudaDevice,
    gx: Array,
    gy: Array,
    x: Array,
    y: Array,
    denominator: Array,
    settings: LocalResponse,
    accumulate: bool,
) -> None:
    """gx = gy / d^beta - 2 alpha beta x * sum of gy y / d over the channels whose windows hold this one; gx may be gy.

    Raises:
        UsageError: for shapes that differ, or a pixel that does not fit into shared memory (some 19,000 channels).
    """
    require_shapes("local_response_norm_backward", x.shape, gx=gx, gy=gy, y=y, denominator=denominator)
    arrays = pitched(gx=gx, gy=gy, x=x, y=y, denominator=denominator)
    tile = _tile(device, settings.n - 1 - settings.n // 2, settings.n // 2, x, gx, gy, y, denominator)
    device.launcher.launch(
        _FILE,
        "local_response_norm_backward",
        tile.grid(frames=3),
        {
            **arrays,
            **tile.arguments,
            "frame_floats": tile.frame_floats,
            "alpha": settings.alpha,
            "beta": settings.beta,
            "accumulate": accumulate,
        },
        tile.choices,
    )


@dataclass(frozen=True)
class _Tile:
    """The pixels of a block, with all their channels, `vector` of them a thread at a time."""

    rows: int
    channels: int
    before: int
    after: int
    vector: int

    @property
    def lanes(self) -> int:
        """Threads that share a pixel."""
        return min(self.channels // self.vector, _BLOCK_THREADS)

    @property
    def pixels(self) -> int:
        return _BLOCK_THREADS // self.lanes

    @property
    def frame_floats(self) -> int:
        """One frame: in each plane the channels of every pixel with the zeros around them."""
        return self.vector * self.pixels * -(-(self.channels + self.before + self.after) // self.vector)

    def grid(self, frames: int) -> Grid:
        blocks = -(-self.rows // self.pixels)
        return Grid((blocks, 1, 1), (self.lanes, self.pixels, 1), frames * self.frame_floats * _FLOAT_BYTES)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"rows": self.rows, "channels": self.channels, "before": self.before, "after": self.after}

    @property
    def choices(self) -> Choices:
        return wide_choice(self.vector > 1)


def _tile(device: CudaDevice, before: int, after: int, *arrays: Array) -> _Tile:
    """The tile for a window of so many channels; beyond the first and the last channel a window has only zeros."""
    shape = arrays[0].shape
    channels = shape[-1]
    pitches = pitched(**{str(i): array for i, array in enumerate(arrays)})
    vector = vector_length(device, channels, *((array, pitches[f"{i}_pitch"]) for i, array in enumerate(arrays)))
    return _Tile(prod(shape[:-1]), channels, min(before, channels - 1), min(after, channels - 1), vector)
