"""Images cut into rectangles that fit a cache, and rectangles shared by threads.

For what needs its place in the image: windows, channels, crops. Plain elementwise work is cut by pieces.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil, prod
from typing import TypeVar

from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Shape

#: Elements of one block: a few arrays of this size lie in a core's cache together.
BLOCK = 2**18
#: Elements of a piece of work that is a few NumPy calls long. Longer pieces gain nothing; shorter ones are two to four
#: times as slow on two threads, since each call ends with a wait for the interpreter's lock.
LONG_PIECE = 2**19
#: Elements times NumPy calls that go over them, from which another thread is worth waking. A call takes 70 to 140 ps an
#: element where arrays lie in a cache, and a halted core 50 to 100 us to wake: two threads gain from about 0.3 ms on.
WORTH_A_THREAD = 2**21

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


def pieces_of(elements: int, threads: int, passes: int) -> int:
    """How many pieces of even size so many elements are cut into: as many for every thread that is worth waking.

    Args:
        elements: of the array.
        threads: of the device.
        passes: how many NumPy calls go over the array.
    """
    shares = threads if passes * elements >= WORTH_A_THREAD else 1
    return shares * max(1, ceil(elements / (shares * LONG_PIECE)))


def for_each_block(device: CpuDevice, work: Callable[[Block], None], pieces: Sequence[Block], elements: int) -> None:
    """Call `work` for every block, on the device's threads where `elements` in all are worth it.

    An array counts as often as NumPy calls go over it. Overflow and invalid operations pass silently inside.
    """

    def run(number: int) -> None:
        work(pieces[number])

    device.parallel(run, range(len(pieces)), threads=1 if elements < WORTH_A_THREAD else None)
