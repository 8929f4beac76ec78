"""Programs that are given memory, or an error that says which batch there is memory for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpunn.backend.sizes import describe_bytes
from gpunn.errors import MemoryExhaustedError
from gpunn.program.program import Program, ProgramPlan, share_memory
from gpunn.program.state import NetworkState

#: Mode, images at a time, and whether the pass adds to the gradients of one before.
ProgramKey = tuple[str, int, bool]


def allocate_programs(
    keys: Sequence[ProgramKey], plan: Callable[[str, int, bool], ProgramPlan], state: NetworkState
) -> list[Program]:
    """The programs of those keys, in one piece of memory.

    Raises:
        MemoryExhaustedError: when the device has not that much; it tells what is wanted, what is free, and the largest
            batch that fits, as far as the device knows.
    """
    plans = [plan(*key) for key in keys]
    try:
        return share_memory(plans, state)
    except MemoryExhaustedError:
        free = state.device.free_memory()
        if free is None:
            raise
    needed = max(planned.memory.total for planned in plans)
    batch = max(images for _, images, _ in keys)
    kinds = {(mode, accumulate) for mode, _, accumulate in keys}

    def wanted(images: int) -> int:
        return max(plan(mode, images, accumulate).memory.total for mode, accumulate in kinds)

    raise MemoryExhaustedError(
        f"{state.network.name} with a batch of {batch} needs {describe_bytes(needed)} beside its weights, and "
        f"{state.device.name} has {describe_bytes(free)} free; "
        f"{_advice(largest_batch(wanted, free, batch))}"
    )


def largest_batch(wanted: Callable[[int], int], free: int, below: int) -> int:
    """The largest number of images, less than `below`, whose program fits; 0 when none does.

    Args:
        wanted: bytes of the program for a number of images; more images never want less.
        free: bytes.
        below: a number that does not fit.
    """
    fits = 0
    while below - fits > 1:
        middle = (fits + below) // 2
        if wanted(middle) <= free:
            fits = middle
        else:
            below = middle
    return fits


def _advice(fits: int) -> str:
    if fits == 0:
        return "not even one image fits: use a smaller network or smaller images, or --device cpu"
    return f"the largest batch that fits is {fits}: use --batch-size {fits}, with --accumulate for larger updates"
