"""The optimiser's settings, chunk by chunk."""

from __future__ import annotations

import numpy as np

from gpunn.arena import Part, place
from gpunn.backend.cuda.chunk_table import ChunkTables, chunk_table
from gpunn.backend.emulator.memory import HostMemory

TABLE = place(
    [
        Part("a", (65,), learning_rate_factor=2.0, decay=0.5),
        Part("frozen", (64,), trainable=False),
        Part("b", (1,)),
        Part("c", (64,)),
    ]
)


def test_rows_cover_the_trainable_segments() -> None:
    table = chunk_table(TABLE)
    assert table.chunk_number.tolist() == [0, 1, 3, 4]
    assert table.learning_rate_factor.tolist() == [2, 2, 1, 1]
    assert table.decay.tolist() == [0.5, 0.5, 0, 0]
    assert (table.chunk_number.dtype, table.decay.dtype) == (np.int32, np.float32)


def test_everything_frozen() -> None:
    assert chunk_table(place([Part("a", (3,), trainable=False)])).chunks == 0


def test_tables_are_uploaded_once() -> None:
    tables = ChunkTables(HostMemory())
    first = tables.of(TABLE)
    assert tables.of(TABLE) is first
    assert first.chunk_number.ctypes.data % 256 == 0
    np.testing.assert_array_equal(first.decay, chunk_table(TABLE).decay)
    assert tables.of(place([Part("a", (3,))])).chunks == 1
