"""What a loader asks of those who read for it: threads or processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gpunn.data.loading.failure import Failure


@dataclass(frozen=True)
class Job:
    """A part of a batch to be filled; the indices lie in it already.

    Attributes:
        number: of the job, unlike that of every other.
        slot: which batch of the shared memory.
        first, last: from which picture up to, not including, which.
        epoch: of the augmentation.
    """

    number: int
    slot: int
    first: int
    last: int
    epoch: int


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

    @property
    def count(self) -> int:
        """How many they are."""

    def submit(self, jobs: Iterable[Job]) -> None:
        """Have these jobs done, earlier ones first."""

    def outcome(self) -> Outcome:
        """The next job that is done, in whatever order; this waits.

        Raises:
            DataError: a worker has ended, or reads one picture for too long; the text names the picture.
        """

    def drop(self) -> None:
        """Forget all jobs that were submitted; when this returns, nobody touches the memory."""

    def close(self) -> None:
        """End the workers."""
