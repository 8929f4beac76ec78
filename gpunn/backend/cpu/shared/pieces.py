"""Axes cut into even pieces, and elementwise work in pieces that fit a cache, spread over the threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from gpunn.arena import Run
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.blocks import for_each_block, pieces_of

Host = np.ndarray[Any, Any]

#: Elements of a piece of a few arrays: long enough that a NumPy call outweighs the interpreter's lock, short enough for
#: a cache.
PIECE = 1 << 18


def split(count: int, pieces: int) -> list[tuple[int, int]]:
    """The first and the stop of `pieces` pieces of 0 .. count - 1, as even as can be."""
    return [(piece * count // pieces, (piece + 1) * count // pieces) for piece in range(pieces)]


def piece_spans(rows: int, elements: int) -> list[slice]:
    """Equal slices of an axis of `rows`, as many as the whole array of `elements` has pieces."""
    pieces = min(rows, max(1, ceil(elements / PIECE)))
    return [slice(first, stop) for first, stop in split(rows, pieces)]


def for_each_piece(device: CpuDevice, work: Callable[..., None], *arrays: Host, passes: int = 1) -> None:
    """Call work(piece of the first array, piece of the second, ...) until all elements are covered.

    The arrays have one shape, and pieces are views that match element for element, in the order of memory: of
    dense images flat runs, of channel slices matrices. Overflow and invalid operations pass silently inside.

    Args:
        device: the CPU.
        work: takes a piece of each array.
        arrays: all of them.
        passes: how many NumPy calls `work` makes that go over a whole piece.
    """
    merged = merge_axes(arrays)
    first = merged[0]
    count = min(len(first), pieces_of(first.size, device.threads, passes))
    if count < 2:
        with device.settings:
            work(*merged)
        return
    spans = [slice(*span) for span in split(len(first), count)]
    for_each_block(device, lambda span: work(*(array[span] for array in merged)), spans, passes * first.size)


def merge_axes(arrays: Sequence[Host]) -> list[Host]:
    """Views of arrays of one shape, in the order of memory, with as few axes as all of them allow, at least one."""
    ordered = [memory_order(array) for array in arrays]
    if all(array.flags.c_contiguous for array in ordered):
        return [array.reshape(-1) for array in ordered]
    squeezed = [array.squeeze() for array in ordered]
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


def share_out(runs: Iterable[Run], piece: int = PIECE) -> list[list[RunPiece]]:
    """The elements of all runs in pieces, and short pieces gathered until a list has the elements of one piece."""
    shares: list[list[RunPiece]] = []
    room = 0
    for run in runs:
        for start in range(run.start, run.stop, piece):
            stop = min(start + piece, run.stop)
            if room <= 0:
                shares.append([])
                room = piece
            shares[-1].append(RunPiece(slice(start, stop), run))
            room -= stop - start
    return shares
