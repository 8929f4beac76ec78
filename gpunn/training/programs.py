"""The programs of a learner, one for each kind of batch that it meets, all in the same memory as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from gpunn.backend.contract import Memory
from gpunn.backend.sizes import describe_bytes
from gpunn.errors import MemoryExhaustedError
from gpunn.program.program import Program, ProgramPlan
from gpunn.program.state import NetworkState


@dataclass(frozen=True)
class ProgramKey:
    """What one program is made for.

    Attributes:
        mode: "train", "evaluate", or "predict", which measures no loss.
        images: at a time.
        adds: whether the pass adds to the gradients of the one before.
        pictures: height and width of the pictures in a batch; None where they have the size of the network's input.
    """

    mode: Literal["train", "evaluate", "predict"]
    images: int
    adds: bool = False
    pictures: tuple[int, int] | None = None


class Programs:
    """Makes programs when they are wanted, and keeps them; only one runs at a time, so they share memory.

    A batch that comes out shorter than planned, because a picture could not be read, takes no further memory.

    Args:
        plan: of one program.
        state: what the programs have in common.
    """

    def __init__(self, plan: Callable[[ProgramKey], ProgramPlan], state: NetworkState) -> None:
        self._plan = plan
        self._state = state
        self._programs: dict[ProgramKey, Program] = {}
        self._memory: Memory | None = None
        self._size = 0

    def prepare(self, keys: Iterable[ProgramKey]) -> None:
        """Make the programs of these keys.

        Raises:
            MemoryExhaustedError: when they do not fit; it tells what is wanted, what is free, and the largest batch
                that fits, as far as the device knows.
        """
        plans = {key: self._plan(key) for key in keys if key not in self._programs}
        wanted = max((plan.memory.total for plan in plans.values()), default=0)
        if self._memory is None or wanted > self._size:
            self._memory, self._size = self._allocate(plans, wanted), wanted
        for key, plan in plans.items():
            self._programs[key] = Program(plan, self._state, self._memory)

    def __getitem__(self, key: ProgramKey) -> Program:
        """The program of that key.

        Raises:
            MemoryExhaustedError: as `prepare`.
        """
        if key not in self._programs:
            self.prepare([key])
        return self._programs[key]

    def _allocate(self, keys: Iterable[ProgramKey], size: int) -> Memory:
        device = self._state.device
        try:
            return device.allocate(size)
        except MemoryExhaustedError:
            free = device.free_memory()
            if free is None:
                raise
        keys = tuple(keys)
        batch = max(key.images for key in keys)
        kinds = {replace(key, images=0) for key in keys}

        def wanted(images: int) -> int:
            return max(self._plan(replace(kind, images=images)).memory.total for kind in kinds)

        raise MemoryExhaustedError(
            f"{self._state.network.name} with a batch of {batch} needs {describe_bytes(size)} beside its weights, and "
            f"{device.name} has {describe_bytes(free)} free; {_advice(largest_batch(wanted, free, batch))}"
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
