"""The settings of the optimiser for every piece of the flat arena, as arrays that kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpunn.arena import ALIGNMENT, SegmentTable
from gpunn.backend.contract import Array
from gpunn.backend.cuda import device_memory


@dataclass(frozen=True)
class ChunkTable:
    """One row for each trainable chunk of arena.ALIGNMENT elements.

    Segments start at a multiple of that, so a chunk belongs to one segment; its last elements may be a gap.

    Attributes:
        chunk_number: (chunks,) int32, the chunk's place in the flat array.
        learning_rate_factor: (chunks,) float32.
        decay: (chunks,) float32.
    """

    chunk_number: Array
    learning_rate_factor: Array
    decay: Array

    @property
    def chunks(self) -> int:
        """Rows."""
        return int(self.chunk_number.shape[0])


def chunk_table(segments: SegmentTable) -> ChunkTable:
    """The table on the host."""
    runs = segments.runs
    chunks = [np.arange(run.start // ALIGNMENT, -(-run.stop // ALIGNMENT), dtype=np.int32) for run in runs]
    lengths = [len(numbers) for numbers in chunks]
    return ChunkTable(
        chunk_number=np.concatenate([np.empty(0, np.int32), *chunks]),
        learning_rate_factor=np.repeat(np.array([run.learning_rate_factor for run in runs], np.float32), lengths),
        decay=np.repeat(np.array([run.decay for run in runs], np.float32), lengths),
    )


class ChunkTables:
    """The tables that were uploaded to one device, one for each SegmentTable object."""

    def __init__(self, memory: device_memory.DeviceMemory) -> None:
        self._memory = memory
        # The SegmentTable is kept beside its table, so that its identity cannot pass to another object.
        self._tables: dict[int, tuple[SegmentTable, ChunkTable]] = {}

    def of(self, segments: SegmentTable) -> ChunkTable:
        """The table on the device, uploaded at the first call."""
        known = self._tables.get(id(segments))
        if known is None:
            host = chunk_table(segments)
            known = (
                segments,
                ChunkTable(
                    self._uploaded(host.chunk_number),
                    self._uploaded(host.learning_rate_factor),
                    self._uploaded(host.decay),
                ),
            )
            self._tables[id(segments)] = known
        return known[1]

    def _uploaded(self, host: np.ndarray[Any, Any]) -> Array:
        memory = self._memory.allocate(prod(host.shape) * host.dtype.itemsize)
        array = self._memory.view(memory, 0, host.shape, host.dtype)
        self._memory.upload(array, host)
        return array
