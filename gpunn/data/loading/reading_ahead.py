"""The batches of one epoch on their way."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from gpunn.data.loading.batch import Batch
from gpunn.data.loading.crew import Crew
from gpunn.data.loading.division import Division
from gpunn.data.loading.failure import Failure
from gpunn.data.loading.timings import Tally
from gpunn.data.loading.workers import Job
from gpunn.errors import DataError, UsageError

Unreadable: TypeAlias = Literal["raise", "skip"]


@dataclass
class _Reading:
    """A batch on its way: the jobs that are not done, by number, and what went wrong."""

    batch: Batch
    jobs: dict[int, Job]
    failures: list[Failure] = field(default_factory=list)


class ReadingAhead:
    """Has a crew read batches of one epoch.

    Args:
        crew: who reads.
        division: of the epoch.
        order: of the samples; None: the data set's own.
        epoch: of the augmentation.
        unreadable: what becomes of a batch with pictures that cannot be read.
        tally: where the time is noted.
    """

    def __init__(
        self,
        crew: Crew,
        division: Division,
        order: npt.NDArray[np.int64] | None,
        epoch: int,
        unreadable: Unreadable,
        tally: Tally,
    ) -> None:
        self._crew = crew
        self._division = division
        self._order = order
        self._epoch = epoch
        self._unreadable = unreadable
        self._tally = tally
        self._readings: deque[_Reading] = deque()

    def begin(self, step: int) -> None:
        """Have the batch with this number read, into the memory of the one that was used the longest time ago."""
        self._require_workers()
        indices = self._division.indices(self._order, step)
        slot = self._crew.next_slot()
        batch = self._crew.batch(slot, len(indices))
        batch.indices[:] = indices
        jobs = [
            Job(next(self._crew.numbers), slot, first, last, self._epoch)
            for first, last in self._division.parts(len(indices))
        ]
        self._readings.append(_Reading(batch, {job.number: job for job in jobs}))
        self._crew.workers.submit(jobs)

    def next(self) -> Batch:
        """The first batch that was begun and not had yet.

        Raises:
            DataError: it cannot be read; or a worker has ended, or is kept waiting for too long.
            UsageError: the workers were closed meanwhile.
        """
        self._require_workers()
        asked = time.perf_counter()
        try:
            while self._readings[0].jobs:
                self._collect()
        finally:
            self._tally.add_wait(time.perf_counter() - asked)
        batch = self._readable(self._readings[0])
        self._readings.popleft()
        return batch

    def leave(self) -> None:
        """The batches that nobody has had are given up."""
        self._crew.step_back(len(self._readings))
        self._readings.clear()

    def _require_workers(self) -> None:
        if self._crew.is_closed:
            raise UsageError("the loader was closed while an epoch was being read; ask it for new batches")

    def _collect(self) -> None:
        """Waits for a job, of whichever batch."""
        outcome = self._crew.workers.outcome()
        reading = next(reading for reading in self._readings if outcome.job in reading.jobs)
        job = reading.jobs.pop(outcome.job)
        self._tally.add(outcome, job.last - job.first)
        reading.failures.extend(
            Failure(job.first + failure.position, failure.index, failure.reason) for failure in outcome.failures
        )

    def _readable(self, reading: _Reading) -> Batch:
        if not reading.failures:
            return reading.batch
        if self._unreadable == "raise":
            raise DataError(min(reading.failures, key=lambda failure: failure.position).reason)
        return reading.batch.without(reading.failures)
