"""What a loader asks of those who read for it: threads or processes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from struct import Struct
from typing import ClassVar, Protocol

from gpunn.data.loading.batch import Batch
from gpunn.data.loading.board import BETWEEN, RESTING, Board
from gpunn.data.loading.failure import Failure
from gpunn.data.loading.filling import Filler

END_SECONDS = 2.0
"""How long a worker may take to leave its work before it is left to itself, or killed."""


@dataclass(frozen=True)
class Job:
    """A part of a batch to be filled; the indices lie in it already.

    Attributes:
        number: of the job, unlike that of every other, and larger than those of earlier ones.
        slot: which batch of the shared memory.
        first, last: from which picture up to, not including, which.
        epoch: of the augmentation.
    """

    number: int
    slot: int
    first: int
    last: int
    epoch: int

    RECORD: ClassVar[Struct] = Struct("<5q")

    def packed(self) -> bytes:
        """The job as a record for another process."""
        return self.RECORD.pack(*astuple(self))

    @classmethod
    def unpacked(cls, record: bytes) -> Job:
        """The inverse of `packed`."""
        return cls(*cls.RECORD.unpack(record))


@dataclass(frozen=True)
class Outcome:
    """A job that is done.

    Attributes:
        job: its number.
        worker: who did it.
        seconds: how long it took.
        failures: pictures that could not be read; their positions are in the part.
    """

    job: int
    worker: int
    seconds: float
    failures: tuple[Failure, ...]


class Workers(Protocol):
    """Some workers over the same memory. They begin when they are made, and work until they are closed."""

    def submit(self, jobs: Iterable[Job]) -> None:
        """Have these jobs done, earlier ones first."""

    def outcome(self) -> Outcome:
        """The next job that is done, in whatever order; this waits.

        Raises:
            DataError: a worker has ended, or reads one picture for too long; the text names the picture.
        """

    def drop(self) -> bool:
        """Forget all jobs that were submitted.

        Returns:
            Whether nobody touches the memory any more. If not, the workers are of no use but to be closed.
        """

    def close(self) -> None:
        """End the workers, those that hang as well; nothing is left of processes, and a thread that hangs is left
        behind with memory that nobody else uses."""


@dataclass(frozen=True)
class Workplace:
    """What a worker needs to carry out jobs.

    Attributes:
        filler: what is done.
        ring: the batches that jobs speak of.
        board: where the worker notes what it does.
    """

    filler: Filler
    ring: Sequence[Batch]
    board: Board

    def carry_out(self, job: Job, worker: int) -> Outcome:
        """The job, done by this worker; nothing is done for a job that was given up."""
        begun = time.perf_counter()
        failures: list[Failure] = []
        if not self.board.is_dropped(job.number):
            self.board.note(worker, BETWEEN)
            part = self.ring[job.slot].part(job.first, job.last)
            failures = self.filler.fill(part, job.epoch, partial(self.board.begin, worker, job.number))
        self.board.note(worker, RESTING)
        return Outcome(job.number, worker, time.perf_counter() - begun, tuple(failures))
