"""Threads that read: for pictures that lie in memory, where a process would only copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from queue import SimpleQueue

from gpunn.data.loading.batch import Batch
from gpunn.data.loading.filling import Filler
from gpunn.data.loading.workers import Job, Outcome


class ThreadWorkers:
    """Threads of this process.

    Args:
        count: how many.
        filler: what they do.
        ring: the batches that jobs speak of.
    """

    def __init__(self, count: int, filler: Filler, ring: Sequence[Batch]) -> None:
        self._filler = filler
        self._ring = ring
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome | Exception] = SimpleQueue()
        self._newest = self._dropped = -1
        self._pending = 0
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"gpunn-loader-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        return len(self._threads)

    def submit(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._pending += 1
            self._newest = job.number
            self._jobs.put(job)

    def outcome(self) -> Outcome:
        outcome = self._outcomes.get()
        self._pending -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def drop(self) -> None:
        if self._pending:
            self._dropped = self._newest
        while self._pending:
            self._outcomes.get()
            self._pending -= 1

    def close(self) -> None:
        self.drop()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, worker: int) -> None:
        while (job := self._jobs.get()) is not None:
            begun = time.perf_counter()
            try:
                part = self._ring[job.slot].part(job.first, job.last)
                failures = self._filler.fill(part, job.epoch, partial(self._is_wanted, job.number))
                self._outcomes.put(Outcome(job.number, worker, time.perf_counter() - begun, tuple(failures)))
            except Exception as error:
                self._outcomes.put(error)

    def _is_wanted(self, job: int, index: int) -> bool:
        return job > self._dropped
