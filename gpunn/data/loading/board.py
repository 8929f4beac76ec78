"""What every worker is doing, written by the workers and read by whoever waits for them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESTING = -1
"""In place of a picture's index: the worker waits for a job."""

BETWEEN = -2
"""In place of a picture's index: the worker starts, or works on several pictures at once."""

_ROW = 8  # a cache line, so that no worker's notes slow down another's
_ACTIVITY, _SINCE = range(2)
_DROPPED = 0


@dataclass(frozen=True)
class Activity:
    """What one worker does.

    Attributes:
        worker: its number.
        index: the picture that it reads, or RESTING, or BETWEEN.
        since: when it began, in nanoseconds of `time.monotonic_ns`, a clock that all processes share.
    """

    worker: int
    index: int
    since: int

    @property
    def seconds(self) -> float:
        """How long it has been at it."""
        return (time.monotonic_ns() - self.since) / 1e9


class Board:
    """A row for each worker, and one for the newest job that was given up.

    Nothing is locked: each number is written by one side only, whole.

    Args:
        memory: `Board.bytes(workers)` bytes, zeros at first; shared by all.
        workers: how many there are.
    """

    def __init__(self, memory: npt.NDArray[np.uint8], workers: int) -> None:
        self._numbers = memory.data.cast("q")
        self._workers = workers

    @staticmethod
    def bytes(workers: int) -> int:
        """What the board of so many workers takes."""
        return (1 + workers) * _ROW * 8

    def begin(self, worker: int, job: int, index: int) -> bool:
        """The worker turns to a picture of this job; False if the job was given up."""
        row = (1 + worker) * _ROW
        # In this order a reader never takes the new picture for one that was begun long ago.
        self._numbers[row + _SINCE] = time.monotonic_ns()
        self._numbers[row + _ACTIVITY] = index
        return job >= self._numbers[_DROPPED]

    def note(self, worker: int, activity: int) -> None:
        """The worker is RESTING or BETWEEN from now on."""
        row = (1 + worker) * _ROW
        self._numbers[row + _SINCE] = time.monotonic_ns()
        self._numbers[row + _ACTIVITY] = activity

    def drop(self, before: int) -> None:
        """Give up all jobs whose numbers are below `before`."""
        self._numbers[_DROPPED] = before

    def is_dropped(self, job: int) -> bool:
        """Whether the job was given up."""
        return job < self._numbers[_DROPPED]

    def activity(self, worker: int) -> Activity:
        """What the worker does."""
        row = (1 + worker) * _ROW
        return Activity(worker, self._numbers[row + _ACTIVITY], self._numbers[row + _SINCE])

    def activities(self) -> list[Activity]:
        """What each does."""
        return [self.activity(worker) for worker in range(self._workers)]
