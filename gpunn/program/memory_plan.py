"""Where every buffer of a program lies: buffers whose lives do not overlap share memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from gpunn.arena import align
from gpunn.backend.contract import Device
from gpunn.program.call import Buffer, Call

#: Every buffer starts at a multiple of this many bytes.
ALIGNMENT = 256

#: Buffers of these kinds are placed by the plan; all others belong to the state.
PLACED = ("planned", "kept", "input")


@dataclass(frozen=True)
class Life:
    """The first and the last call that touch a buffer; what is kept or given by the host lives longer."""

    first: int
    last: int

    def overlaps(self, other: Life) -> bool:
        """Whether both are alive at some call."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placement:
    """A buffer's life and its place, in bytes from the start of the program's memory."""

    buffer: Buffer
    life: Life
    offset: int
    size: int


@dataclass(frozen=True)
class MemoryPlan:
    """All placements.

    Attributes:
        size: bytes of buffers.
        workspace: bytes of scratch that all calls share, one after another; it lies behind the buffers.
    """

    placements: tuple[Placement, ...]
    size: int
    workspace: int

    @property
    def total(self) -> int:
        """Bytes of the program's memory."""
        return self.size + self.workspace


def lives(calls: Sequence[Call]) -> dict[Buffer, Life]:
    """The life of every buffer that the plan places."""
    found: dict[Buffer, Life] = {}
    end = len(calls)
    for index, call in enumerate(calls):
        for buffer in call.buffers:
            if buffer.kind not in PLACED:
                continue
            first = -1 if buffer.kind == "input" else index
            last = end if buffer.kind in ("kept", "input") else index
            known = found.get(buffer)
            found[buffer] = Life(known.first, max(known.last, last)) if known else Life(first, last)
    return found


def plan_memory(calls: Sequence[Call], device: Device) -> MemoryPlan:
    """Place buffers one after another, each at the lowest offset where it meets nobody alive at the same time.

    The largest first, the largest and longest first, or the last to be needed first: whichever order needs the least.
    (Greedy by size: Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020.)
    """
    alive = lives(calls)
    sizes = {buffer: align(device.size_of(buffer.shape, buffer.dtype, buffer.layout), ALIGNMENT) for buffer in alive}

    def length(buffer: Buffer) -> int:
        return alive[buffer].last - alive[buffer].first

    orders: tuple[Callable[[Buffer], tuple[float, ...]], ...] = (
        lambda buffer: (-sizes[buffer], alive[buffer].first),
        lambda buffer: (-sizes[buffer] * sqrt(length(buffer)), alive[buffer].first),
        lambda buffer: (-alive[buffer].last, -sizes[buffer]),
    )
    by_name = sorted(alive, key=lambda buffer: buffer.name)
    plans = [_place(sorted(by_name, key=order), alive, sizes) for order in orders]
    workspaces = (b.shape[0] for call in calls for b in call.buffers if b.kind == "workspace")
    best = min(plans, key=_end)
    return MemoryPlan(
        tuple(sorted(best, key=lambda placement: (placement.life.first, placement.offset))),
        _end(best),
        align(max(workspaces, default=0), ALIGNMENT),
    )


def _place(order: Sequence[Buffer], alive: Mapping[Buffer, Life], sizes: Mapping[Buffer, int]) -> list[Placement]:
    placed: list[Placement] = []
    for buffer in order:
        offset = 0
        rivals = [other for other in placed if other.life.overlaps(alive[buffer])]
        for rival in sorted(rivals, key=lambda other: other.offset):
            if offset + sizes[buffer] <= rival.offset:
                break
            offset = max(offset, rival.offset + rival.size)
        placed.append(Placement(buffer, alive[buffer], offset, sizes[buffer]))
    return placed


def _end(placements: Sequence[Placement]) -> int:
    return max((placement.offset + placement.size for placement in placements), default=0)
