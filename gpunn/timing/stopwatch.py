"""Times of several ways to do the same, taken in turn so that all meet the same moods of the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: A sample lasts at least this long, so that starting and waiting do not count.
SAMPLE_SECONDS = 0.05
WARM_UP_CALLS = 4
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


def sample(subject: Subject, calls: int) -> float:
    """Seconds of one call, as the mean of several that follow each other."""
    subject.wait()
    begun = time.perf_counter()
    for _ in range(calls):
        subject.call()
    subject.wait()
    return (time.perf_counter() - begun) / calls


def interleave(subjects: Mapping[str, Subject], rounds: int) -> dict[str, Times]:
    """Each subject in turn, `rounds` times, after a warm-up that compiles, tunes and records."""
    calls: dict[str, int] = {}
    for name, subject in subjects.items():
        sample(subject, WARM_UP_CALLS)
        calls[name] = max(1, min(LARGEST_SAMPLE, int(SAMPLE_SECONDS / max(sample(subject, 1), 1e-9))))
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            samples[name].append(sample(subject, calls[name]))
    return {name: _times(found) for name, found in samples.items()}


def _times(seconds: list[float]) -> Times:
    return Times(*(1000 * figure for figure in (statistics.median(seconds), min(seconds), max(seconds))))
