"""The settings of the optimiser for every piece of the flat arena, as arrays that kernels read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpunn.arena import ALIGNMENT, Segment, SegmentTable
from gpunn.backend.contract import Array
from gpunn.backend.cuda.launching import device_memory
from gpunn.backend.cuda.launching.launch import STRIDING_BLOCK, Grid, striding_grid
from gpunn.errors import UsageError

#: Elements of a thread and chunks of a block, as in kernels/chunks.cuh.
THREAD_ELEMENTS = 4
BLOCK_CHUNKS = STRIDING_BLOCK * THREAD_ELEMENTS // ALIGNMENT
#: Blocks of a sum over all chunks: as many as the largest GPU runs at once. The bits of the sum depend on it.
MOST_SUMMING_BLOCKS = 1024
#: What a thread loads at once.
VECTOR_BYTES = 16


@dataclass(frozen=True)
class ChunkTable:
    """One row for each chunk of arena.ALIGNMENT elements that a kernel works on.

    Segments start at a multiple of that, so a chunk belongs to one segment; its last elements may be a gap.

    Attributes:
        chunk_number: (chunks,) int32, the chunk's place in the flat array.
        chunk_length: (chunks,) int32, its elements without the gap.
        learning_rate_factor: (chunks,) float32.
        decay: (chunks,) float32.
        stop: elements that a flat array must have at least.
    """

    chunk_number: Array
    chunk_length: Array
    learning_rate_factor: Array
    decay: Array
    stop: int

    @property
    def chunks(self) -> int:
        """Rows."""
        return int(self.chunk_number.shape[0])

    @property
    def grid(self) -> Grid:
        """For kernels that stride over the rows."""
        return striding_grid(self.chunks, BLOCK_CHUNKS)

    @property
    def summing_grid(self) -> Grid:
        """For kernels that leave a partial sum for each block; it depends on nothing but the number of chunks."""
        blocks = min(max(1, -(-self.chunks // BLOCK_CHUNKS)), MOST_SUMMING_BLOCKS)
        return Grid((blocks, 1, 1), (STRIDING_BLOCK, 1, 1))


def chunk_table(segments: Iterable[Segment]) -> ChunkTable:
    """The table of these segments, on the host."""
    kept = [segment for segment in segments if segment.size]
    chunks = [np.arange(segment.offset // ALIGNMENT, -(-segment.stop // ALIGNMENT), dtype=np.int32) for segment in kept]
    ends = [segment.stop - ALIGNMENT * numbers for segment, numbers in zip(kept, chunks, strict=True)]
    counts = [len(numbers) for numbers in chunks]
    number = np.concatenate([np.empty(0, np.int32), *chunks])
    return ChunkTable(
        chunk_number=number,
        chunk_length=np.minimum(np.concatenate([np.empty(0, np.int32), *ends]), ALIGNMENT).astype(np.int32),
        learning_rate_factor=np.repeat(
            np.array([segment.learning_rate_factor for segment in kept], np.float32), counts
        ),
        decay=np.repeat(np.array([segment.decay for segment in kept], np.float32), counts),
        stop=ALIGNMENT * (int(number.max()) + 1) if number.size else 0,
    )


class ChunkTables:
    """The tables that were uploaded to one device, one of each kind for each SegmentTable object."""

    def __init__(self, memory: device_memory.DeviceMemory) -> None:
        self._memory = memory
        # The SegmentTable is kept beside its table, so that its identity cannot pass to another object.
        self._trainable: dict[int, tuple[SegmentTable, ChunkTable]] = {}
        self._decaying: dict[int, tuple[SegmentTable, ChunkTable]] = {}

    def trainable(self, segments: SegmentTable) -> ChunkTable:
        """What optimisers change, on the device; uploaded at the first call."""
        if id(segments) not in self._trainable:
            chosen = [segment for segment in segments if segment.trainable]
            self._trainable[id(segments)] = (segments, self._upload(chunk_table(chosen)))
        return self._trainable[id(segments)][1]

    def decaying(self, segments: SegmentTable) -> ChunkTable:
        """What penalties pull, on the device; uploaded at the first call."""
        if id(segments) not in self._decaying:
            chosen = [segment for segment in segments if segment.decay != 0]
            self._decaying[id(segments)] = (segments, self._upload(chunk_table(chosen)))
        return self._decaying[id(segments)][1]

    def _upload(self, host: ChunkTable) -> ChunkTable:
        return ChunkTable(
            self._uploaded(host.chunk_number),
            self._uploaded(host.chunk_length),
            self._uploaded(host.learning_rate_factor),
            self._uploaded(host.decay),
            host.stop,
        )

    def _uploaded(self, host: np.ndarray[Any, Any]) -> Array:
        memory = self._memory.allocate(prod(host.shape) * host.dtype.itemsize)
        array = self._memory.view(memory, 0, host.shape, host.dtype)
        self._memory.upload(array, host)
        return array


def require_flat(memory: device_memory.DeviceMemory, primitive: str, stop: int, **arrays: Array | None) -> None:
    """Flat arrays have one size, whole chunks, at least `stop` elements, and start where a thread can load four floats.

    Raises:
        UsageError: when one does not.
    """
    given = {name: array for name, array in arrays.items() if array is not None}
    sizes = {name: int(array.size) for name, array in given.items()}
    described = ", ".join(f"{name} has {size}" for name, size in sizes.items())
    if len(set(sizes.values())) > 1:
        raise UsageError(f"{primitive}: {described} elements; flat arrays must have one size")
    for size in sizes.values():
        if size % ALIGNMENT or size < stop:
            raise UsageError(
                f"{primitive}: {described} elements; a flat array has a multiple of {ALIGNMENT}, here at least {stop}"
            )
    for name, array in given.items():
        if memory.address(array) % VECTOR_BYTES:
            raise UsageError(
                f"{primitive}: {name} lies at an address that is no multiple of {VECTOR_BYTES} bytes; "
                "cut flat arrays at multiples of 64 elements"
            )
