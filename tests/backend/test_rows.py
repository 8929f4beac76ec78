"""The cutting of rows: each once, in blocks whose joined rows are long, as many as suit the threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpunn.backend.cpu.device import CpuDevice, memory_order, open_cpu
from gpunn.backend.cpu.shared import blocks as tested
from gpunn.backend.cpu.shared.blocks import pieces_of
from gpunn.backend.cpu.shared.rows import (
    WIDTH,
    join,
    join_vectors,
    joined_result,
    row_plan,
    rows_of,
    rows_to_join,
    store,
)
from tests.backend.arrays import upload, upload_slice

SHAPES = [(4, 5, 3, 6), (7, 13, 1, 64), (1, 1, 127, 300), (3, 2, 2, 5000), (11, 12)]


@pytest.fixture
def cpu() -> Iterator[CpuDevice]:
    opened = open_cpu(2)
    yield opened
    opened.close()


@pytest.mark.parametrize("leading", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_cover_each_row_once(shape: tuple[int, ...], leading: int) -> None:
    if leading >= len(shape):
        return
    plan = row_plan(shape, leading, 2, 1)
    rows = [row for block in plan.blocks for row in range(block.rows.start, block.rows.stop)]
    assert rows == list(range(int(np.prod(shape[:leading]))))
    assert plan.columns == np.prod(shape[leading:])
    lengths = [block.rows.stop - block.rows.start for block in plan.blocks]
    assert plan.counts.tolist() == [[length] for length in lengths]
    for block, length in zip(plan.blocks, lengths, strict=True):
        assert length % block.joined == 0
        assert 1 <= block.joined <= plan.joined
        assert block.joined == 1 or block.joined * plan.columns <= WIDTH


@pytest.mark.parametrize(("rows", "columns", "joined"), [(49, 512, 1), (196, 256, 7), (65537, 2, 1), (127, 20, 1)])
def test_rows_to_join_divide_the_rows(rows: int, columns: int, joined: int) -> None:
    assert rows_to_join(rows, columns) == joined


def test_rows_that_do_not_divide_are_joined_and_the_rest_is_a_block_of_its_own() -> None:
    plan = row_plan((127, 1, 1, 20), 3, 2, 1)
    assert [(block.rows.start, block.rows.stop, block.joined) for block in plan.blocks] == [
        (0, 102, 102),
        (102, 127, 25),
    ]


@pytest.mark.parametrize(
    ("elements", "threads", "passes", "pieces"),
    [
        (0, 2, 9, 1),
        (99, 2, 1, 2),
        (100, 2, 1, 2),
        (101, 2, 1, 4),
        (51, 2, 2, 2),
        (49, 2, 2, 1),
        (401, 2, 1, 10),
        (80, 1, 1, 2),
    ],
)
def test_pieces_are_as_many_for_every_thread_that_is_worth_waking(
    monkeypatch: pytest.MonkeyPatch, elements: int, threads: int, passes: int, pieces: int
) -> None:
    """A thread is worth 100 passes over an element; a piece has 50 elements."""
    monkeypatch.setattr(tested, "WORTH_A_THREAD", 100)
    monkeypatch.setattr(tested, "LONG_PIECE", 50)
    assert pieces_of(elements, threads, passes) == pieces


@pytest.mark.parametrize("sliced", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_block_is_read_and_written_where_it_lies(cpu: CpuDevice, shape: tuple[int, ...], sliced: bool) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    place = upload_slice if sliced else upload
    x, y = place(cpu, values), place(cpu, np.zeros(shape))
    leading = len(shape) - 1
    plan = row_plan(memory_order(x).shape, leading, cpu.threads, 1)
    factors = np.arange(1.0, shape[-1] + 1)
    vectors = join_vectors(cpu, 2, plan, np.dtype(np.float64), np.zeros_like(factors), factors)
    inputs, results = rows_of(memory_order(x), leading), rows_of(memory_order(y), leading)
    for block in plan.blocks:
        joined = join(cpu, 0, inputs, block, plan.columns)
        result = joined_result(cpu, 1, results, block, plan.columns)
        np.multiply(joined, vectors[1, : joined.shape[1]], out=result)
        store(results, block, result)
    np.testing.assert_array_equal(y, values * factors)
    assert not vectors[0].any()
