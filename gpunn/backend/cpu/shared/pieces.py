"""Axes cut into even pieces, and elementwise work in pieces that fit a cache, spread over the threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from gpunn.arena import Run
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.blocks import WORTH_A_THREAD

Host = np.ndarray[Any, Any]

#: Elements of a piece: long enough that a NumPy call outweighs the interpreter's lock, short enough for a cache.
PIECE = 1 << 18


def split(count: int, pieces: int) -> list[tuple[int, int]]:
    """The first and the stop of `pieces` pieces of 0 .. count - 1, as even as can be."""
    return [(piece * count // pieces, (piece + 1) * count // pieces) for piece in range(pieces)]


def piece_spans(rows: int, elements: int) -> list[slice]:
    """Equal slices of an axis of `rows`, as many as the whole array of `elements` has pieces."""
    pieces = min(rows, max(1, ceil(elements / PIECE)))
    return [slice(first, stop) for first, stop in split(rows, pieces)]


def for_each_piece(device: CpuDevice, work: Callable[..., None], *arrays: Host) -> None:
    """Call work(piece of the first array, piece of the second, ...) until all elements are covered.

    The arrays have one shape, and pieces are views that match element for element, in the order of memory: of
    dense images flat runs, of channel slices matrices. Overflow and invalid operations pass silently inside.
    """
    merged = merge_axes(arrays)
    spans = piece_spans(merged[0].shape[0], merged[0].size)

    def run(piece: int) -> None:
        with np.errstate(all="ignore"):
            work(*(array[spans[piece]] for array in merged))

    device.parallel(run, range(len(spans)), threads=1 if merged[0].size < WORTH_A_THREAD else None)


def merge_axes(arrays: Sequence[Host]) -> list[Host]:
    """Views of arrays of one shape, in the order of memory, with as few axes as all of them allow, at least one."""
    squeezed = [memory_order(array).squeeze() for array in arrays]
    if squeezed[0].ndim == 0:
        return [array.reshape(1) for array in squeezed]
    shape = [squeezed[0].shape[0]]
    for axis in range(1, squeezed[0].ndim):
        length = squeezed[0].shape[axis]
        if all(array.strides[axis - 1] == array.strides[axis] * length for array in squeezed):
            shape[-1] *= length
        else:
            shape.append(length)
    return [array.reshape(shape) for array in squeezed]


@dataclass(frozen=True)
class RunPiece:
    """Elements of a flat array that lie in one run."""

    span: slice
    run: Run


def share_out(runs: Iterable[Run]) -> list[list[RunPiece]]:
    """The elements of all runs in pieces, and short pieces gathered until a list has the elements of one piece."""
    shares: list[list[RunPiece]] = []
    room = 0
    for run in runs:
        for start in range(run.start, run.stop, PIECE):
            stop = min(start + PIECE, run.stop)
            if room <= 0:
                shares.append([])
                room = PIECE
            shares[-1].append(RunPiece(slice(start, stop), run))
            room -= stop - start
    return shares
