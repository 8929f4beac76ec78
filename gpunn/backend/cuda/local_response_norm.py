"""Local response normalisation over neighbouring channels on CUDA (Krizhevsky, Sutskever and Hinton, 2012, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpunn.backend.attributes import LocalResponse
from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import Choices
from gpunn.backend.cuda.shared.columns import pitched, require_shapes
from gpunn.backend.cuda.shared.vectors import vector_length, wide_choice

_FILE = "local_response_norm.cu"
#: BLOCK_THREADS of the kernels.
_BLOCK_THREADS = 256
#: The window and the power of the paper, which are compiled apart.
_PAPER_REACH, _PAPER_BETA = 2, 0.75
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
        tile.choices(settings.beta),
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
        {**arrays, **tile.arguments, "alpha": settings.alpha, "beta": settings.beta, "accumulate": accumulate},
        tile.choices(settings.beta),
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
        """Of one block."""
        return _BLOCK_THREADS // self.lanes

    def grid(self, frames: int) -> Grid:
        """The blocks, each with so many frames: a float for every channel of every pixel."""
        frame_bytes = self.pixels * self.channels * _FLOAT_BYTES
        return Grid((-(-self.rows // self.pixels), 1, 1), (self.lanes, self.pixels, 1), frames * frame_bytes)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"rows": self.rows, "channels": self.channels, "before": self.before, "after": self.after}

    def choices(self, beta: float) -> Choices:
        """Those of kernels/local_response_norm.cu."""
        is_paper = (self.before, self.after, beta) == (_PAPER_REACH, _PAPER_REACH, _PAPER_BETA)
        return {**wide_choice(self.vector > 1), "PAPER": "1" if is_paper else "0"}


def _tile(device: CudaDevice, before: int, after: int, *arrays: Array) -> _Tile:
    """The tile for windows of so many channels; a window reaches no further than the first and the last channel."""
    shape = arrays[0].shape
    vector = vector_length(device, shape[-1], *((array, channel_pitch(array)) for array in arrays))
    return _Tile(prod(shape[:-1]), shape[-1], min(before, shape[-1] - 1), min(after, shape[-1] - 1), vector)
