"""The cutting of arrays: each element once, views only, no matter how the arrays lie in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpunn.arena import Run
from gpunn.backend.cpu.device import CpuDevice, open_cpu
from gpunn.backend.cpu.shared.blocks import WORTH_A_THREAD
from gpunn.backend.cpu.shared.pieces import PIECE, for_each_piece, merge_axes, piece_spans, share_out
from tests.backend.arrays import upload, upload_slice


@pytest.fixture
def cpu() -> Iterator[CpuDevice]:
    opened = open_cpu(2)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "shape", [(1, 1), (4, 3), (2, 1, 3, 5), (1, 4, 1, 2), (3, 2, 2, 1), (1, 1, 1, 1), (3, 70, 70, 30)]
)
def test_pieces_cover_each_element_once(cpu: CpuDevice, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    arrays = [upload(cpu, values), upload_slice(cpu, values), values.copy(), values[::-1].copy()[::-1]]
    if len(shape) == 4:
        arrays.append(np.pad(values, [(0, 0), (1, 2), (2, 1), (0, 0)])[:, 1:-2, 2:-1])
    counts = upload(cpu, np.zeros(shape))

    def work(count: np.ndarray, *parts: np.ndarray) -> None:
        count += 1
        for part in parts:
            assert np.array_equal(part, parts[0])
        for part in parts:
            part *= 2

    for_each_piece(cpu, work, counts, *arrays)
    assert (counts == 1).all()
    for array in arrays:
        assert np.array_equal(array, 2 * values)


def test_dense_images_become_one_axis_and_slices_two(cpu: CpuDevice) -> None:
    host = np.zeros((2, 3, 4, 5), np.float32)
    assert [a.shape for a in merge_axes([upload(cpu, host)])] == [(120,)]
    assert [a.shape for a in merge_axes([upload(cpu, host), upload_slice(cpu, host)])] == [(24, 5)] * 2


def test_an_axis_of_length_one_hides_no_gap() -> None:
    wide = np.zeros((4, 3, 6))
    array = wide[:, :1, :5]
    (merged,) = merge_axes([array])
    assert np.shares_memory(merged, wide)
    assert merged.shape == (4, 5)


def test_spans_are_contiguous_and_complete() -> None:
    spans = piece_spans(7, 3 * PIECE + 1)
    assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
    assert (spans[0].start, spans[-1].stop, len(spans)) == (0, 7, 4)
    assert piece_spans(2, 100 * PIECE) == [slice(0, 1), slice(1, 2)]


def test_work_that_no_thread_is_worth_waking_for_is_one_piece(cpu: CpuDevice) -> None:
    values = upload(cpu, np.zeros(WORTH_A_THREAD // 8, np.float32))
    sizes: list[int] = []
    for passes in (1, 8):
        for_each_piece(cpu, lambda part: sizes.append(part.size), values, passes=passes)
    assert sizes == [values.size, values.size // 2, values.size // 2]


def test_shares_are_as_large_as_asked() -> None:
    shares = share_out([Run(0, 25, 1.0, 0.0)], 10)
    assert [[(part.span.start, part.span.stop) for part in share] for share in shares] == [
        [(0, 10)],
        [(10, 20)],
        [(20, 25)],
    ]


def test_shares_hold_about_one_piece_each() -> None:
    runs = [Run(0, 10, 1.0, 0.0), Run(64, 64 + 2 * PIECE, 1.0, 0.1), Run(3 * PIECE, 3 * PIECE + 5, 2.0, 0.0)]
    shares = share_out(runs)
    flat = [(p.span.start, p.span.stop, p.run.learning_rate_factor) for share in shares for p in share]
    middle = 64 + PIECE
    assert flat == [(0, 10, 1), (64, middle, 1), (middle, middle + PIECE, 1), (3 * PIECE, 3 * PIECE + 5, 2)]
    assert [len(share) for share in shares] == [2, 1, 1]
