"""Threads that wait for work, and the sharing out of it.

A halted core takes some 30 us to wake. A thread is handed its work through one queue that is written in C, which costs
a third of what an executor's futures cost; and who calls takes over what no other thread has begun yet, so that
little work is done before the others are awake, and nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from weakref import finalize


class Workers:
    """Threads besides the calling one.

    Args:
        count: how many.
        prepare: what each of them does first.
    """

    def __init__(self, count: int, prepare: Callable[[], None]) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [
            Thread(target=_serve, args=(self._jobs, prepare), name=f"gpunn_{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()
        # The threads end with the last reference to this object, also when nobody closes it.
        self._stop = finalize(self, _stop, self._jobs, count)

    def run(self, work: Callable[[int], None], shares: int) -> None:
        """Call work(0) .. work(shares - 1), each once, on all threads; return when all calls have ended.

        May be called from several threads at once, and from within a share. An interrupt of the thread that waits is
        raised at once, while others end what they have begun.

        Raises:
            what a share raised, the first one to be heard of; the others are done all the same.
        """
        job = _Job(work, shares)
        for _ in range(min(shares - 1, len(self._threads))):
            self._jobs.put(job)
        job.take_part()
        job.wait()

    def close(self) -> None:
        """End the threads, after what they have begun."""
        self._stop()
        for thread in self._threads:
            thread.join()


class _Job:
    """Shares of work: each is claimed by one thread."""

    def __init__(self, work: Callable[[int], None], shares: int) -> None:
        self._work = work
        self._open = list(range(shares - 1, -1, -1))
        self._shares = shares
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def take_part(self) -> None:
        """Work on shares until all are claimed."""
        while True:
            try:
                share = self._open.pop()
            except IndexError:
                return
            try:
                self._work(share)
            except BaseException as error:
                self._ended.put(error)
            else:
                self._ended.put(None)

    def wait(self) -> None:
        """Until all shares have ended; raises the first error."""
        errors = [self._ended.get() for _ in range(self._shares)]
        for error in errors:
            if error is not None:
                raise error


def _serve(jobs: SimpleQueue[_Job | None], prepare: Callable[[], None]) -> None:
    prepare()
    while (job := jobs.get()) is not None:
        job.take_part()
        # A finished job holds arrays; the next one may be long in coming.
        del job


def _stop(jobs: SimpleQueue[_Job | None], count: int) -> None:
    for _ in range(count):
        jobs.put(None)
