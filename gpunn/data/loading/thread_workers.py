"""Threads that read: for pictures that lie in memory, where a process would only copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from queue import Empty, SimpleQueue

from gpunn.data.loading.board import RESTING
from gpunn.data.loading.watch import Watch
from gpunn.data.loading.workers import END_SECONDS, Job, Outcome, Workplace


class ThreadWorkers:
    """Threads of this process.

    Args:
        count: how many.
        workplace: what they work with.
        watch: of the workplace's board.
    """

    def __init__(self, count: int, workplace: Workplace, watch: Watch) -> None:
        self._workplace = workplace
        self._watch = watch
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome | Exception] = SimpleQueue()
        self._newest = -1
        self._pending = 0
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"gpunn-loader-{number}", daemon=True)
            for number in range(count)
        ]
        for worker, thread in enumerate(self._threads):
            workplace.board.note(worker, RESTING)
            thread.start()

    def submit(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._pending += 1
            self._newest = job.number
            self._jobs.put(job)

    def outcome(self) -> Outcome:
        while True:
            try:
                outcome = self._outcomes.get(timeout=self._watch.interval)
            except Empty:
                self._watch.look()
                continue
            self._pending -= 1
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    def drop(self) -> bool:
        self._workplace.board.drop(self._newest + 1)
        end = time.monotonic() + END_SECONDS
        while self._pending:
            try:
                self._outcomes.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                return False
            self._pending -= 1
        return True

    def close(self) -> None:
        self._workplace.board.drop(self._newest + 1)
        for _ in self._threads:
            self._jobs.put(None)
        end = time.monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self, worker: int) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._outcomes.put(self._workplace.carry_out(job, worker))
            except Exception as error:
                self._outcomes.put(error)
