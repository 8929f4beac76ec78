"""The optimiser's settings, chunk by chunk."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.arena import Part, place
from gpunn.backend.cuda.chunk_table import MOST_SUMMING_BLOCKS, ChunkTables, chunk_table, require_flat
from gpunn.backend.emulator.memory import HostMemory
from gpunn.errors import UsageError

TABLE = place(
    [
        Part("a", (65,), learning_rate_factor=2.0, decay=0.5),
        Part("frozen", (64,), decay=0.25, trainable=False),
        Part("b", (1,)),
        Part("c", (64,)),
    ]
)


def test_rows_cover_the_segments() -> None:
    table = chunk_table(TABLE)
    assert table.chunk_number.tolist() == [0, 1, 2, 3, 4]
    assert table.chunk_length.tolist() == [64, 1, 64, 1, 64]
    assert table.learning_rate_factor.tolist() == [2, 2, 1, 1, 1]
    assert table.decay.tolist() == [0.5, 0.5, 0.25, 0, 0]
    assert table.stop == TABLE.size == 5 * 64
    columns = (table.chunk_number, table.chunk_length, table.learning_rate_factor, table.decay)
    assert [column.dtype for column in columns] == [np.int32, np.int32, np.float32, np.float32]


def test_optimisers_and_penalties_have_tables_of_their_own() -> None:
    tables = ChunkTables(HostMemory())
    assert tables.trainable(TABLE).chunk_number.tolist() == [0, 1, 3, 4]
    assert tables.decaying(TABLE).chunk_number.tolist() == [0, 1, 2]


def test_everything_frozen() -> None:
    table = ChunkTables(HostMemory()).trainable(place([Part("a", (3,), trainable=False)]))
    assert (table.chunks, table.stop) == (0, 0)
    assert table.grid.blocks == table.summing_grid.blocks == (1, 1, 1)


def test_tables_are_uploaded_once() -> None:
    tables = ChunkTables(HostMemory())
    first = tables.trainable(TABLE)
    assert tables.trainable(TABLE) is first
    assert tables.decaying(TABLE) is tables.decaying(TABLE)
    assert first.chunk_number.ctypes.data % 256 == 0
    assert tables.trainable(place([Part("a", (3,))])).chunks == 1


def test_the_blocks_of_a_sum_depend_on_the_chunks_only() -> None:
    small, large = (chunk_table(place([Part("a", (count,))])) for count in (64 * 17, 64 * 16 * 5000))
    assert small.summing_grid.blocks == (2, 1, 1)
    assert large.summing_grid.blocks == (MOST_SUMMING_BLOCKS, 1, 1)


def test_flat_arrays_hold_whole_chunks() -> None:
    with pytest.raises(UsageError, match="w has 70 elements; a flat array has a multiple of 64, here at least 64"):
        require_flat(HostMemory(), "sgd", 64, w=np.zeros(70, np.float32), v=None)
