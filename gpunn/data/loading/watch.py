"""Notices that a worker has ended, or is kept waiting by its storage, and says which picture it was reading."""

from __future__ import annotations

import signal
from collections.abc import Callable

from gpunn.data.loading.board import BETWEEN, RESTING, Activity, Board
from gpunn.errors import DataError

START_SECONDS = 60.0
"""What a worker may take to start, or for what it does to several pictures at once, however short the time-out."""


class Watch:
    """Looks at a board for those who wait.

    Args:
        board: of the workers.
        timeout: seconds that the reading of one picture may take.
        name: of the picture with an index.
    """

    def __init__(self, board: Board, timeout: float, name: Callable[[int], str]) -> None:
        self._board = board
        self._timeout = timeout
        self._name = name
        self._suspects: set[Activity] = set()

    @property
    def interval(self) -> float:
        """How many seconds to wait between two looks."""
        return min(1.0, self._timeout / 4)

    def look(self) -> None:
        """Call this while jobs are pending, every `interval`.

        A worker is too late when two looks in a row find it so: a system that wakes from a pause finds all of them late
        once.

        Raises:
            DataError: a worker is too late; the text names its picture.
        """
        late = {activity for activity in self._board.activities() if self._is_late(activity)}
        for activity in sorted(late & self._suspects, key=lambda activity: activity.since):
            raise DataError(self._lateness(activity))
        self._suspects = late

    def death(self, worker: int, status: int | None) -> DataError:
        """The error that says what a worker was doing when its process ended.

        Args:
            worker: its number.
            status: as `subprocess.Popen.returncode` has it; None: it cannot be had.
        """
        index = self._board.activity(worker).index
        ending, remedy = _ending(status)
        if index >= 0:
            return DataError(f"{self._name(index)}: while worker {worker} read this picture it {ending}; {remedy}")
        return DataError(f"worker {worker} {ending} while it read no picture; {remedy}")

    def _is_late(self, activity: Activity) -> bool:
        if activity.index == RESTING:
            return False
        limit = max(self._timeout, START_SECONDS) if activity.index == BETWEEN else self._timeout
        return activity.seconds > limit

    def _lateness(self, activity: Activity) -> str:
        if activity.index == BETWEEN:
            return f"worker {activity.worker} has not moved for {activity.seconds:.0f} s; try fewer workers, or threads"
        return (
            f"{self._name(activity.index)}: worker {activity.worker} has been reading this picture for "
            f"{activity.seconds:.1f} s, and the time-out is {self._timeout:g} s; see whether its storage answers, "
            "or allow more time"
        )


def _ending(status: int | None) -> tuple[str, str]:
    """How a process ended, in words, and what to do about it."""
    if status is None or status >= 0:
        ending = "ended, nobody knows how" if status is None else f"ended with status {status}"
        return ending, "see what it wrote to standard error, or use worker_kind 'threads'"
    try:
        ending = f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        ending = f"was ended by signal {-status}"
    if -status == signal.SIGKILL:
        return ending, "where the system ran out of memory, use fewer workers or a smaller batch"
    return ending, "remove or replace the picture if this happens again: its decoder cannot bear it"
