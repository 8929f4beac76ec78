"""Images cut into rectangles that fit a cache, and rectangles shared by threads.

For what needs its place in the image: windows, channels, crops. Plain elementwise work is cut by pieces.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import TypeVar

import numpy as np

from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Shape

#: Elements of one block: a few arrays of this size lie in a core's cache together.
BLOCK = 2**18
#: With fewer elements than this, waking another thread costs more than it saves.
WORTH_A_THREAD = 2**19

Index = tuple[slice, ...]
Block = TypeVar("Block")


@lru_cache(maxsize=1024)
def blocks(shape: Shape, weight: int = 1) -> tuple[Index, ...]:
    """Indices that cut an array of `shape` into blocks of about BLOCK elements, in the order of memory.

    Args:
        shape: the axes that may be cut, the slowest first.
        weight: elements that each point of `shape` stands for; a block exceeds BLOCK only where one point does.
    """
    first, rest = shape[0], shape[1:]
    inner = prod(rest) * weight
    if inner > BLOCK and rest:
        return tuple((slice(row, row + 1), *index) for row in range(first) for index in blocks(rest, weight))
    count = -(-first * inner // BLOCK)
    rows = -(-first // count)
    whole = tuple(slice(0, extent) for extent in rest)
    return tuple((slice(row, min(row + rows, first)), *whole) for row in range(0, first, rows))


def for_each_block(device: CpuDevice, work: Callable[[Block], None], pieces: Sequence[Block], elements: int) -> None:
    """Call `work` for every block, on the device's threads where `elements` in all are worth it.

    Overflow and invalid operations pass silently inside.
    """

    def run(number: int) -> None:
        with np.errstate(all="ignore"):
            work(pieces[number])

    device.parallel(run, range(len(pieces)), threads=1 if elements < WORTH_A_THREAD else None)
