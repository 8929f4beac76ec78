"""Worker processes that read every picture of a data set once, and are replaced when a picture kills or stops them."""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Iterator
from itertools import islice
from types import TracebackType

from gpunn.data.checking.examination import Finding
from gpunn.data.checking.worker import Worker
from gpunn.data.dataset import EncodedDataset
from gpunn.errors import DataError

TASK_PICTURES = 16
"""A worker is given so many pictures at a time; it holds one of them."""

STALLS_IN_A_ROW = 8
"""After so many pictures that take too long, with none between that does not, it is the storage that hangs."""

_TICKS_PER_TIMEOUT = 4


class Crew:
    """The workers of one data set.

    Args:
        dataset: what they read; it is sent to each of them.
        decoder: the name of the decoder they use.
        workers: how many.
        timeout: seconds after which a picture is given up.
    """

    def __init__(self, dataset: EncodedDataset, decoder: str, workers: int, timeout: float) -> None:
        self._dataset = dataset
        self._decoder = decoder
        self._size = min(workers, -(-len(dataset) // TASK_PICTURES))
        self._timeout = timeout
        self._unread = deque(range(len(dataset)))
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._stalls = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in list(self._workers):
            self._dismiss(worker)
        self._selector.close()

    def findings(self) -> Iterator[Finding]:
        """What was found of each picture, in whatever order.

        Raises:
            DataError: processes cannot be started, or the storage does not answer.
        """
        self._hire()
        while self._workers:
            for key, _ in self._selector.select(self._timeout / _TICKS_PER_TIMEOUT):
                yield from self._listen(key.data)
            for worker in [one for one in self._workers if one.seconds() > self._timeout]:
                yield self._give_up(worker)
            self._hire()

    def _hire(self) -> None:
        """Replaces workers that are gone, as long as there is something to read."""
        missing = min(self._size - len(self._workers), -(-len(self._unread) // TASK_PICTURES))
        for _ in range(missing):
            worker = Worker()
            self._workers.append(worker)
            self._selector.register(worker.connection, selectors.EVENT_READ, worker)
        # While one unpacks the data set, the others have time to start.
        for worker in self._workers[len(self._workers) - missing :]:
            worker.introduce(self._dataset, self._decoder)

    def _listen(self, worker: Worker) -> Iterator[Finding]:
        finding = worker.hear()
        if finding is not None:
            self._stalls = 0
            yield finding
        if worker.ended:
            self._dismiss(worker)
        elif not worker.pending:
            task = list(islice(self._take(), TASK_PICTURES))
            if task:
                worker.give(task)
            else:
                self._dismiss(worker)

    def _take(self) -> Iterator[int]:
        while self._unread:
            yield self._unread.popleft()

    def _give_up(self, worker: Worker) -> Finding:
        index = worker.pending.popleft()
        self._dismiss(worker)
        self._stalls += 1
        if self._stalls == STALLS_IN_A_ROW:
            raise DataError(
                f"{self._dataset.name(index)}: reading it took more than {self._timeout:g} seconds, as did the "
                f"{STALLS_IN_A_ROW - 1} pictures before it; the storage does not answer: repair it, and check "
                "again"
            )
        return Finding(index, reason=f"reading it took more than {self._timeout:g} seconds")

    def _dismiss(self, worker: Worker) -> None:
        """Ends a worker and takes back what it has not read."""
        self._unread.extendleft(reversed(worker.pending))
        self._selector.unregister(worker.connection)
        self._workers.remove(worker)
        worker.end()
