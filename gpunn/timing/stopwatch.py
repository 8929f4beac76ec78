"""Times of several ways to do the same, taken in turn so that all meet the same moods of the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: A sample lasts at least this long, so that starting and waiting do not count.
SAMPLE_SECONDS = 0.05
#: A device writes a step down in its third run; the fourth is as all that follow. What is slow is on the CPU, where the
#: second is so already.
WARM_UP_CALLS = 4
SLOW_CALLS = 2
SLOW_SECONDS = 0.5
LARGEST_SAMPLE = 1000


@dataclass(frozen=True)
class Subject:
    """Something to time: `call` starts it, `wait` returns when all that was started has ended."""

    call: Callable[[], object]
    wait: Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Milliseconds of one call: the median of the samples, the lowest and the highest."""

    median: float
    low: float
    high: float


class Series:
    """The samples of one subject.

    Args:
        subject: what is timed; it is warmed up at once, which compiles, tunes and records.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._seconds: list[float] = []
        for number in range(1, WARM_UP_CALLS + 1):
            seconds = sample(subject, 1)
            if number >= SLOW_CALLS and seconds > SLOW_SECONDS:
                break
        self._calls = calls_of(seconds)

    def take(self) -> None:
        """One more sample."""
        self._seconds.append(sample(self._subject, self._calls))

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of one call, sample by sample."""
        return tuple(self._seconds)

    def times(self) -> Times:
        """Of all samples."""
        return times_of(self._seconds)


def calls_of(seconds: float) -> int:
    """How many calls of so many seconds make a sample."""
    return max(1, min(LARGEST_SAMPLE, int(SAMPLE_SECONDS / max(seconds, 1e-9))))


def sample(subject: Subject, calls: int) -> float:
    """Seconds of one call, as the mean of several that follow each other."""
    subject.wait()
    begun = time.perf_counter()
    for _ in range(calls):
        subject.call()
    subject.wait()
    return (time.perf_counter() - begun) / calls


def interleave(subjects: Mapping[str, Subject], rounds: int) -> dict[str, Times]:
    """Each subject in turn, `rounds` times, after its warm-up."""
    series = {name: Series(subject) for name, subject in subjects.items()}
    for _ in range(rounds):
        for one in series.values():
            one.take()
    return {name: one.times() for name, one in series.items()}


def times_of(seconds: Sequence[float]) -> Times:
    """Samples of at least one call each."""
    return Times(*(1000 * figure for figure in (statistics.median(seconds), min(seconds), max(seconds))))
