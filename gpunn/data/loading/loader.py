"""Batches of pictures, read ahead of the training step by workers into memory that is used again and again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from gpunn.cores import available_cores
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Dataset
from gpunn.data.decoding.picture import Decoder
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.loading.batch import Batch, BatchLayout
from gpunn.data.loading.failure import Failure
from gpunn.data.loading.filling import Filler
from gpunn.data.loading.order import epoch_order
from gpunn.data.loading.thread_workers import ThreadWorkers
from gpunn.data.loading.timings import Tally, Timings
from gpunn.data.loading.workers import Job, Workers
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.targets import SOFT_LABELS
from gpunn.errors import DataError, UsageError

BUFFERS = 4
"""Batches in memory: the one in use, the one before it, and two that are being read."""

WorkerKind: TypeAlias = Literal["auto", "threads", "processes"]
Unreadable: TypeAlias = Literal["raise", "skip"]

JOB_BYTES = 5 << 19
"""A worker takes so many bytes of pixels at a time: 16 photographs of 224x224, a thousand digits."""


@dataclass
class _Reading:
    """A batch on its way: the jobs that are not done, and what went wrong."""

    batch: Batch
    jobs: dict[int, Job]
    failures: list[Failure] = field(default_factory=list)


class Loader:
    """Divides a data set into batches, epoch by epoch.

    What a batch holds depends on the seed, the epoch and its place in the epoch, never on the number of workers or
    on what was read before.

    Attributes:
        steps_per_epoch: the batches of one epoch; the last one may be short.
    """

    def __init__(
        self,
        dataset: Dataset,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        shuffle: bool = False,
        workers: int | None = None,
        worker_kind: WorkerKind = "auto",
        decoder: Decoder | None = None,
        unreadable: Unreadable = "raise",
        timeout: float = 60.0,
        soft_labels: bool = False,
    ) -> None:
        """Nothing is read before `batches` is called.

        Args:
            dataset: at least one picture.
            preprocessing: the size and channels of the batches.
            batch_size: pictures in every batch but the last.
            seed: of order and augmentation.
            augmentation: None: each picture as it is evaluated.
            shuffle: a new order each epoch instead of the data set's own.
            workers: how many read; None: one for each core this process may use.
            worker_kind: "processes", which a busy main thread does not hold up, or "threads", which share the data
                set's memory; "auto": processes for image files, threads for pictures in memory.
            decoder: reads image files and scales pictures; None: Pillow.
            unreadable: "raise" a DataError in place of a batch with a picture that cannot be read, or "skip" the
                picture: the batch is shorter and says what it lacks.
            timeout: seconds after which the storage that keeps one picture waiting is reported.
            soft_labels: add the target "soft_labels", the part of each class in each picture.

        Raises:
            DataError: the data set is empty.
            UsageError: an option cannot be used; the text says which and why.
        """
        if len(dataset) == 0:
            raise DataError("the data set is empty: there is no batch to be had")
        if batch_size < 1:
            raise UsageError(f"the batch size must be at least 1, got {batch_size}")
        self._workers = available_cores() if workers is None else workers
        if self._workers < 1:
            raise UsageError(f"the number of workers must be at least 1, got {workers}")
        if worker_kind not in get_args(WorkerKind):
            raise UsageError(f"workers are auto, threads or processes, not {worker_kind!r}")
        if unreadable not in get_args(Unreadable):
            raise UsageError(f"what to do with unreadable pictures is raise or skip, not {unreadable!r}")
        if not timeout > 0:
            raise UsageError(f"the time-out must be a positive number of seconds, got {timeout}")
        self._dataset = dataset
        self._unreadable = unreadable
        self._timeout = timeout
        self._batch_size = min(batch_size, len(dataset))
        self._seed = seed
        self._shuffle = shuffle
        self._filler = Filler(dataset, preprocessing, augmentation or Augmentation(), decoder or PillowDecoder(), seed)
        picture = (preprocessing.height, preprocessing.width, preprocessing.channels)
        targets = [(name, values.dtype.str, values.shape[1:]) for name, values in dataset.targets.items()]
        if soft_labels:
            if SOFT_LABELS in dataset.targets or not dataset.classes:
                raise UsageError("soft labels need a data set with classes and without targets of that name")
            targets.append((SOFT_LABELS, "<f4", (len(dataset.classes),)))
        self._layout = BatchLayout(self._batch_size, picture, tuple(targets))
        self._job_size = max(1, JOB_BYTES // (picture[0] * picture[1] * picture[2]))
        self.steps_per_epoch = -(-len(dataset) // self._batch_size)
        self._tally = Tally(self._workers)

    @property
    def timings(self) -> Timings:
        """Where the time went since the latest `batches` began."""
        return self._tally.timings()

    @property
    def waited_seconds(self) -> float:
        """How long the caller of the latest `batches` has waited for data."""
        return self.timings.waited_seconds

    def close(self) -> None:
        """End all workers; calling `batches` again starts new ones."""

    def batches(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch, from number `start` on.

        Closing the generator, or dropping it, ends its workers.

        Raises:
            UsageError: `start` is not a place in the epoch.
            DataError: a picture cannot be read; raised in place of the batch that would hold it.
        """
        if not 0 <= start <= self.steps_per_epoch:
            raise UsageError(f"batch {start} asked for; an epoch has {self.steps_per_epoch} batches")
        self._tally = Tally(self._workers)
        return self._produce(epoch, start, self._tally)

    def _produce(self, epoch: int, start: int, tally: Tally) -> Generator[Batch, None, None]:
        order = epoch_order(self._dataset, self._seed, epoch) if self._shuffle else None
        memory = np.zeros(self._layout.bytes * min(BUFFERS, self.steps_per_epoch), np.uint8)
        ring = self._layout.batches(memory)
        workers: Workers = ThreadWorkers(self._workers, self._filler, ring)
        reading: deque[_Reading] = deque()
        numbers = count()

        def read_ahead(step: int) -> None:
            if step >= self.steps_per_epoch:
                return
            indices = self._indices(order, step)
            slot = step % BUFFERS
            ring[slot].release()
            batch = ring[slot].part(0, len(indices))
            batch.indices[:] = indices
            jobs = [Job(next(numbers), slot, first, last, epoch) for first, last in self._parts(len(indices))]
            reading.append(_Reading(batch, {job.number: job for job in jobs}))
            workers.submit(jobs)

        try:
            for step in range(start, min(start + BUFFERS - 2, self.steps_per_epoch)):
                read_ahead(step)
            for step in range(start, self.steps_per_epoch):
                # The caller is done with batch step - 2, whose memory this is.
                read_ahead(step + BUFFERS - 2)
                asked = time.perf_counter()
                try:
                    self._await(reading, workers, tally)
                finally:
                    tally.add_wait(time.perf_counter() - asked)
                yield self._checked(reading.popleft())
        finally:
            workers.close()

    def _indices(self, order: npt.NDArray[np.int64] | None, step: int) -> npt.NDArray[np.int64]:
        first = step * self._batch_size
        last = min(first + self._batch_size, len(self._dataset))
        return np.arange(first, last, dtype=np.int64) if order is None else order[first:last]

    def _parts(self, size: int) -> Iterator[tuple[int, int]]:
        """A batch of that size in the parts that one job fills; they do not depend on the number of workers."""
        for first in range(0, size, self._job_size):
            yield first, min(first + self._job_size, size)

    def _checked(self, done: _Reading) -> Batch:
        """The batch, without what could not be read if such pictures are skipped."""
        if not done.failures:
            return done.batch
        first = min(done.failures, key=lambda failure: failure.position)
        if self._unreadable == "raise":
            raise DataError(first.reason)
        if len(done.failures) == len(done.batch):
            raise DataError(f"not one of the {len(done.batch)} pictures of a batch can be read; {first.reason}")
        return done.batch.without(done.failures)

    def _await(self, reading: deque[_Reading], workers: Workers, tally: Tally) -> None:
        """Returns when the first batch is done; jobs of others may be done before it."""
        while reading[0].jobs:
            outcome = workers.outcome()
            batch = next(batch for batch in reading if outcome.job in batch.jobs)
            job = batch.jobs.pop(outcome.job)
            tally.add(outcome, job.last - job.first)
            batch.failures.extend(
                Failure(job.first + failure.position, failure.index, failure.reason) for failure in outcome.failures
            )
