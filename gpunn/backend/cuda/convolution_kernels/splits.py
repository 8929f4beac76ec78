"""How the depth of a convolution's matrix product is shared by several blocks, and how their sums are added up.

Splits follow from the geometry alone, so that every machine adds in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from gpunn.backend.contract import Array, Memory
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.launch import striding_grid
from gpunn.geometry import Shape

#: Two blocks for each of some 128 multiprocessors. More splits than that only add sums to write and to read.
BLOCKS_WANTED = 256
#: Elements of the depth that a split has at least: a block with less spends its time on its edges.
LEAST_SPLIT_DEPTH = 128
#: Neighbouring elements that kernels access as one.
QUAD = 4

_FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Splits:
    """`count` blocks share a tile; each takes `slices_each` slices of the depth, the last one what is left."""

    count: int
    slices_each: int


def plan_splits(tiles: int, depth: int, slice_depth: int) -> Splits:
    """As many splits as bring the tiles to BLOCKS_WANTED blocks.

    Args:
        tiles: of the output, over all groups.
        depth: the number of products in one sum.
        slice_depth: how many of them a block takes at a time.
    """
    slices = -(-depth // slice_depth)
    wanted = max(1, min(BLOCKS_WANTED // tiles, depth // LEAST_SPLIT_DEPTH))
    slices_each = -(-slices // wanted)
    return Splits(-(-slices // slices_each), slices_each)


def sums_size(splits: Splits, elements: int) -> int:
    """Bytes of the sums of all splits; none when there is one, which writes the result itself."""
    return splits.count * elements * _FLOAT.itemsize if splits.count > 1 else 0


def sums_view(device: CudaDevice, workspace: Memory, splits: Splits, shape: Shape, offset: int = 0) -> Array:
    """The sums in the workspace: float32, shape (splits, *shape), `offset` bytes from its start."""
    return device.view(workspace, offset, (splits.count, *shape), _FLOAT, "plain")


def combine_forward(device: CudaDevice, y: Array, sums: Array, bias: Array | None, apply_relu: bool) -> None:
    """y = f(bias + the sum over splits), f is ReLU or nothing; y may be a slice of channels, of any type."""
    _combine(device, "convolution2d_combine_forward", y, sums, {"bias": bias, "apply_relu": apply_relu}, (y, bias))


def combine_gradient(device: CudaDevice, gradient: Array, sums: Array, saved: Array | None, accumulate: bool) -> None:
    """gradient = the sum over splits, 0 where `saved` is not above 0; added to what is there with `accumulate`."""
    arguments = {"saved": saved, "saved_pitch": 0 if saved is None else channel_pitch(saved), "accumulate": accumulate}
    _combine(device, "convolution2d_combine_gradient", gradient, sums, arguments, (gradient, saved))


def _combine(
    device: CudaDevice,
    kernel: str,
    result: Array,
    sums: Array,
    arguments: dict[str, object],
    vectors: tuple[Array | None, ...],
) -> None:
    channels = result.shape[-1]
    rows = prod(result.shape[:-1])
    device.launcher.launch(
        "convolution2d_combine.cu",
        kernel,
        striding_grid(rows * -(-channels // QUAD)),
        {
            "result": result,
            "result_pitch": channel_pitch(result),
            "sums": sums,
            "splits": sums.shape[0],
            "rows": rows,
            "channels": channels,
            "vector": all(reads_quads(device, array) for array in vectors if array is not None),
            **arguments,
        },
    )


def reads_quads(device: CudaDevice, array: Array, groups: int = 1) -> bool:
    """Whether four neighbouring channels of a group may always be accessed as one element of four times the size."""
    pitch = channel_pitch(array)
    return (
        array.shape[-1] % (QUAD * groups) == 0
        and pitch % QUAD == 0
        and device.memory.address(array) % (QUAD * array.dtype.itemsize) == 0
    )
