"""How a kernel walks over several arrays at once: as rows of channels, and 16 bytes at a time where all allow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import Rows, rows_of
from gpunn.backend.cuda.launching.source import Choices
from gpunn.errors import UsageError

#: What a thread moves at once at most: WIDEST_ACCESS of kernels/vectors.cuh.
WIDEST_ACCESS = 16


@dataclass(frozen=True)
class Walk:
    """Rows of channels that serve several arrays of one shape.

    Attributes:
        rows: how many; one when every array is dense.
        channels: elements of a row.
        pitches: `<name>_pitch` of each array: elements from one row to the next.
        vector: elements that a thread moves at once; 1 where the arrays allow no more.
    """

    rows: int
    channels: int
    pitches: Mapping[str, int]
    vector: int

    @property
    def arguments(self) -> dict[str, Any]:
        """What a kernel declares as `rows`, `channels` and the pitches."""
        return {"rows": self.rows, "channels": self.channels, **self.pitches}

    @property
    def vectors(self) -> int:
        """How many vectors there are in all rows."""
        return self.rows * (self.channels // self.vector)

    @property
    def choices(self) -> Choices:
        """WIDE of kernels/vectors.cuh."""
        return wide_choice(self.vector > 1)


def wide_choice(wide: bool) -> Choices:
    """WIDE of kernels/vectors.cuh."""
    return {"WIDE": "1" if wide else "0"}


def walk_over(device: CudaDevice, primitive: str, **arrays: Array) -> Walk:
    """The walk over arrays of one shape, each dense or a slice of the channels.

    Raises:
        UsageError: when the shapes differ, or an array lies in another order.
    """
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UsageError(f"{primitive}: the arrays must have one shape, got {shapes}")
    lying = {name: _rows(primitive, name, array) for name, array in arrays.items()}
    size = next(iter(arrays.values())).size
    slices = [rows for rows in lying.values() if rows.count > 1]
    walk = slices[0] if slices else Rows(1, size, size)
    pitches = {f"{name}_pitch": rows.pitch if rows.count > 1 else walk.length for name, rows in lying.items()}
    vector = vector_length(device, walk.length, *((array, pitches[f"{name}_pitch"]) for name, array in arrays.items()))
    return Walk(walk.count, walk.length, pitches, vector)


def vector_length(device: CudaDevice, channels: int, *arrays: tuple[Array, int]) -> int:
    """How many channels a thread may move at once in all arrays, each given with its pitch; 1 where one forbids more.

    The widest number type decides: 16 bytes of it, and as many numbers of the others.
    """
    count = WIDEST_ACCESS // max(array.dtype.itemsize for array, _ in arrays)
    divisible = channels % count == 0 and all(pitch % count == 0 for _, pitch in arrays)
    aligned = all(device.memory.address(array) % (count * array.dtype.itemsize) == 0 for array, _ in arrays)
    return count if divisible and aligned else 1


def _rows(primitive: str, name: str, array: Array) -> Rows:
    rows = rows_of(array)
    if rows is None:
        raise UsageError(
            f"{primitive}: {name} of shape {array.shape} has strides {array.strides}; it must be row by row, "
            "or a slice of its last axis"
        )
    return rows
