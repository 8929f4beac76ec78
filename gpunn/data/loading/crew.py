"""Workers with the batches they fill, kept from epoch to epoch: a process takes a while to start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gpunn.data.loading.batch import Batch, BatchLayout
from gpunn.data.loading.board import Board
from gpunn.data.loading.filling import Filler
from gpunn.data.loading.process_workers import ProcessWorkers
from gpunn.data.loading.shared_memory import MemoryFile, mapped
from gpunn.data.loading.thread_workers import ThreadWorkers
from gpunn.data.loading.watch import Watch
from gpunn.data.loading.workers import Workers, Workplace
from gpunn.errors import UsageError

Pin: TypeAlias = Callable[[npt.NDArray[np.uint8]], Callable[[], None]]
"""Is told of memory that batches will lie in; what it returns is called when none will any more. Neither may raise."""


class Crew:
    """Some workers, and a ring of batches in which one after the other is filled.

    Attributes:
        workers: over this memory.
        numbers: for jobs.
        is_closed: whether the workers have ended.

    Args:
        workers: over this memory.
        ring: the batches.
        unpin: is called at the end, when nobody holds batches any more.
    """

    def __init__(self, workers: Workers, ring: list[Batch], unpin: Callable[[], None] | None = None) -> None:
        self.workers = workers
        self.numbers = count()
        self.is_closed = False
        self._ring = ring
        self._unpin = unpin
        self._next = 0

    def next_slot(self) -> int:
        """The place of the batch that was used the longest time ago; those who hold it are waited for."""
        slot = self._next
        self._ring[slot].release()
        self._next = (slot + 1) % len(self._ring)
        return slot

    def step_back(self, slots: int) -> None:
        """So many of the latest slots were given to nobody; they are the next ones."""
        self._next = (self._next - slots) % len(self._ring)

    def batch(self, slot: int, size: int) -> Batch:
        """So many pictures at this place."""
        return self._ring[slot].part(0, size)

    def close(self) -> None:
        """End the workers, and wait for those who hold batches; the memory stays as long as somebody has them."""
        self.is_closed = True
        self.workers.close()
        for batch in self._ring:
            batch.release()
        if self._unpin is not None:
            self._unpin()


@dataclass(frozen=True)
class CrewPlan:
    """How a crew is made.

    Attributes:
        workers: how many.
        filler: what they do.
        layout: of each batch.
        slots: batches in the ring.
        timeout: seconds that the reading of one picture may take.
        name: of the picture with an index.
        task: filler and layout, packed for worker processes; None: the workers are threads.
        pin: is told of the memory of each ring.
    """

    workers: int
    filler: Filler
    layout: BatchLayout
    slots: int
    timeout: float
    name: Callable[[int], str]
    task: MemoryFile | None
    pin: Pin | None = None

    def crew(self) -> Crew:
        """Workers that have begun.

        Raises:
            UsageError: the system refuses to start so many processes.
        """
        if self.task is None:
            return self._threads()
        try:
            return self._processes(self.task)
        except OSError as error:
            raise UsageError(
                f"{self.workers} worker processes cannot be started: {error}; use fewer, or worker_kind 'threads'"
            ) from error

    def _threads(self) -> Crew:
        memory = np.zeros(self._bytes, np.uint8)
        board, ring = self._divided(memory)
        workplace = Workplace(self.filler, ring, board)
        workers = ThreadWorkers(self.workers, workplace, self._watch(board))
        return Crew(workers, ring, self._pinned(memory))

    def _processes(self, task: MemoryFile) -> Crew:
        file = MemoryFile(self._bytes)
        try:
            memory = mapped(file.descriptor)
            board, ring = self._divided(memory)
            workers = ProcessWorkers(self.workers, task, file, board, self._watch(board))
            return Crew(workers, ring, self._pinned(memory))
        finally:
            file.close()

    def _pinned(self, memory: npt.NDArray[np.uint8]) -> Callable[[], None] | None:
        return self.pin(memory) if self.pin is not None else None

    @property
    def _bytes(self) -> int:
        return Board.bytes(self.workers) + self.slots * self.layout.bytes

    def _divided(self, memory: npt.NDArray[np.uint8]) -> tuple[Board, list[Batch]]:
        end = Board.bytes(self.workers)
        return Board(memory[:end], self.workers), self.layout.batches(memory[end:])

    def _watch(self, board: Board) -> Watch:
        return Watch(board, self.timeout, self.name)


class Crews:
    """Crews of one plan: an idle one is used again, and when there is none another is made.

    Args:
        make: a crew.
    """

    def __init__(self, make: Callable[[], Crew]) -> None:
        self._make = make
        self._all: list[Crew] = []
        self._idle: list[Crew] = []

    def take(self) -> Crew:
        """A crew for one epoch; give it back."""
        if self._idle:
            return self._idle.pop()
        crew = self._make()
        self._all.append(crew)
        return crew

    def give_back(self, crew: Crew) -> None:
        """The epoch is over, or was left: what is still being read is forgotten. One idle crew is kept."""
        if crew.is_closed:
            return
        if crew.workers.drop() and not self._idle:
            self._idle.append(crew)
            return
        self._all.remove(crew)
        crew.close()

    def close(self) -> None:
        """End all crews, those in use as well."""
        self._idle.clear()
        while self._all:
            self._all.pop().close()
