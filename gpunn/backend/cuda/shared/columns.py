"""Images as a matrix whose columns are channels: how kernels that gather or scale by channel walk over its rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import Choices
from gpunn.backend.cuda.shared.vectors import vector_length, wide_choice
from gpunn.errors import UsageError

#: Threads of a block: COLUMN_THREADS of kernels/columns.cuh.
COLUMN_THREADS = 256
#: A block has at most this many lanes side by side, and at least the second where there are channels enough: the
#: numbers that neighbouring threads load then fill whole lines of 128 bytes, or at least sectors of 32.
_MOST_LANES = 32
_FEWEST_LANES = 8
#: Rows that a thread of a gathering pass takes before a further slice is worth its sums.
_ROWS_PER_THREAD = 16
#: Blocks of a gathering pass: enough to fill the largest GPU, and few sums to add up afterwards.
_MOST_GATHERING_BLOCKS = 512
#: The same for passes that leave no sums behind.
_ROWS_PER_STREAMING_THREAD = 8
_MOST_STREAMING_BLOCKS = 4096


@dataclass(frozen=True)
class Slices:
    """The rows of an image, cut: `count` slices of `rows` each, of which the last may have fewer."""

    count: int
    rows: int


@dataclass(frozen=True)
class Columns:
    """`images` matrices of `rows` x `channels`, walked `vector` channels at a time.

    What one image is depends on the pass: for batch norm, all images are one.
    """

    images: int
    rows: int
    channels: int
    vector: int

    @cached_property
    def lanes(self) -> int:
        """Threads side by side in a block: a power of two that leaves few idle."""
        vectors = self.channels // self.vector
        if vectors < _FEWEST_LANES:
            return 1 << (vectors - 1).bit_length()
        choices = (1 << power for power in range(_FEWEST_LANES.bit_length() - 1, _MOST_LANES.bit_length()))
        return max(choices, key=lambda lanes: (-(-(-vectors // lanes) * lanes), lanes))

    @property
    def tiles(self) -> int:
        """Blocks side by side that cover the channels."""
        return -(-self.channels // (self.vector * self.lanes))

    @property
    def rows_per_block(self) -> int:
        """Threads of a block behind one another."""
        return COLUMN_THREADS // self.lanes

    def gathering_slices(self, most: int) -> Slices:
        """At most `most` slices, for a pass in which each leaves sums behind."""
        blocks = max(1, _MOST_GATHERING_BLOCKS // (self.images * self.tiles))
        return self._cut(_ROWS_PER_THREAD, min(most, blocks))

    def streaming_slices(self) -> Slices:
        """The slices for a pass in which nothing is gathered."""
        return self._cut(_ROWS_PER_STREAMING_THREAD, max(1, _MOST_STREAMING_BLOCKS // (self.images * self.tiles)))

    def _cut(self, rows_per_thread: int, most: int) -> Slices:
        wanted = min(most, -(-self.rows // (self.rows_per_block * rows_per_thread)))
        slice_rows = -(-self.rows // wanted)
        return Slices(-(-self.rows // slice_rows), slice_rows)

    def grid(self, slices: Slices) -> Grid:
        """The grid of kernels/columns.cuh."""
        return Grid((self.images * slices.count, self.tiles, 1), (self.lanes, self.rows_per_block, 1))

    @property
    def choices(self) -> Choices:
        """WIDE of kernels/vectors.cuh."""
        return wide_choice(self.vector > 1)

    def sizes(self, slices: Slices) -> dict[str, Any]:
        """What a kernel declares as `rows`, `channels`, `slices` and `slice_rows`."""
        return {"rows": self.rows, "channels": self.channels, "slices": slices.count, "slice_rows": slices.rows}


def columns_of(device: CudaDevice, images: int, *arrays: Array) -> Columns:
    """The columns of arrays of one shape, whose first axis counts `images` matrices, or 1 for one of all its rows."""
    shape = arrays[0].shape
    vector = vector_length(device, shape[-1], *((array, channel_pitch(array)) for array in arrays))
    return Columns(images, prod(shape[:-1]) // images, shape[-1], vector)


def pitched(**arrays: Array) -> dict[str, Any]:
    """Each array as the argument of its name, with its `<name>_pitch`."""
    return arrays | {f"{name}_pitch": channel_pitch(array) for name, array in arrays.items()}


#: Lanes of a block of reducing_grid: their numbers fill a sector of 32 bytes.
_REDUCING_LANES = 8


def reducing_grid(channels: int) -> Grid:
    """For kernels that add up the sums of all slices, one lane a channel."""
    return Grid((-(-channels // _REDUCING_LANES), 1, 1), (_REDUCING_LANES, COLUMN_THREADS // _REDUCING_LANES, 1))


def require_shapes(primitive: str, shape: tuple[int, ...], **arrays: Array | None) -> None:
    """Check arrays against the shape they must have; None is not checked.

    Raises:
        UsageError: for one that has another.
    """
    for name, array in arrays.items():
        if array is not None and array.shape != shape:
            raise UsageError(f"{primitive}: {name} has shape {array.shape}; it must have {shape}")
