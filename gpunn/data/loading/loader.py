"""Batches of pictures, read ahead of the training step by workers into memory that is used again and again."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from typing import Literal, TypeAlias, get_args

from gpunn.cores import available_cores
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Dataset, EncodedDataset
from gpunn.data.decoding.picture import Decoder
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.loading.batch import Batch, BatchLayout
from gpunn.data.loading.crew import CrewPlan, Crews, Pin
from gpunn.data.loading.division import Division
from gpunn.data.loading.filling import Filler
from gpunn.data.loading.order import epoch_order
from gpunn.data.loading.reading_ahead import ReadingAhead, Unreadable
from gpunn.data.loading.shared_memory import MemoryFile, packed
from gpunn.data.loading.timings import Tally, Timings
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.targets import SOFT_LABELS
from gpunn.errors import DataError, UsageError

WorkerKind: TypeAlias = Literal["auto", "threads", "processes"]

TIMEOUT = 60.0

FEW = 500
"""A data set of fewer pictures is read about as soon as worker processes have started."""


class Loader:
    """Divides a data set into batches, epoch by epoch.

    What a batch holds depends on the seed, the epoch and its place in the epoch, never on the number or kind of workers
    or on what was read before. Workers start with the first epoch and stay for the others; `close`, or dropping the
    loader, ends them.

    Memory: the batches in use and before it, and two that are read ahead, or as many as give each worker two jobs of
    1.3 MB; never more than one batch beyond those of an epoch (`Division.slots` times `BatchLayout.bytes`).

    Attributes:
        steps_per_epoch: the batches of one epoch; the last one may be short.
        worker_kind: "threads" or "processes".
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
        timeout: float = TIMEOUT,
        soft_labels: bool = False,
        pin: Pin | None = None,
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
                set's memory. "auto": threads for pictures in memory, for fewer than `FEW`, and where other processes
                cannot have the data set; else processes.
            decoder: reads image files and scales pictures; None: Pillow.
            unreadable: "raise" a DataError in place of a batch with a picture that cannot be read, or "skip" the
                picture: the batch is shorter, or empty, and says what it lacks.
            timeout: seconds that the reading of one picture may take.
            soft_labels: add the target "soft_labels", the part of each class in each picture.
            pin: is told of the memory that batches lie in each time it is made, for a device that copies from it by
                itself; what it returns is called once the workers have ended and nobody holds batches.

        Raises:
            DataError: the data set is empty.
            UsageError: an option cannot be used; the text says which and why.
        """
        if len(dataset) == 0:
            raise DataError("the data set is empty: there is no batch to be had")
        if batch_size < 1:
            raise UsageError(f"the batch size must be at least 1, got {batch_size}")
        count = available_cores() if workers is None else workers
        if count < 1:
            raise UsageError(f"the number of workers must be at least 1, got {workers}")
        if unreadable not in get_args(Unreadable):
            raise UsageError(f"unreadable pictures can be met by raise or skip, not {unreadable!r}")
        if not timeout > 0:
            raise UsageError(f"the time-out must be a positive number of seconds, got {timeout}")
        self._dataset = dataset
        self._seed = seed
        self._shuffle = shuffle
        self._unreadable: Unreadable = unreadable
        self._workers = count
        layout = _layout(dataset, preprocessing, min(batch_size, len(dataset)), soft_labels)
        height, width, channels = layout.picture
        self._division = Division(len(dataset), layout.size, height * width * channels)
        filler = Filler(dataset, preprocessing, augmentation or Augmentation(), decoder or PillowDecoder(), seed)
        task = _task(worker_kind, dataset, filler, layout)
        self.worker_kind = "threads" if task is None else "processes"
        slots = self._division.slots(count)
        self._crews = Crews(CrewPlan(count, filler, layout, slots, timeout, dataset.name, task, pin).crew)
        self._end = weakref.finalize(self, self._crews.close)
        self.steps_per_epoch = self._division.steps
        self._tally = Tally(count)

    @property
    def timings(self) -> Timings:
        """Where the time went since the latest `batches` began."""
        return self._tally.timings()

    def batches(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch, from number `start` on.

        Closing the generator, or dropping it, makes its workers idle. Epochs that are read side by side have workers
        and memory of their own.

        Raises:
            UsageError: `start` is not a place in the epoch.
            DataError: a picture cannot be read; raised in place of the batch that would hold it. Or a worker ended, or
                was kept waiting for longer than the time-out; the text names the picture.
        """
        if not 0 <= start <= self.steps_per_epoch:
            raise UsageError(f"batch {start} asked for; an epoch has {self.steps_per_epoch} batches")
        self._tally = Tally(self._workers)
        return self._produce(epoch, start, self._tally)

    def close(self) -> None:
        """End all workers; epochs that are being read cannot go on, and new ones start new workers."""
        self._crews.close()

    def _produce(self, epoch: int, start: int, tally: Tally) -> Generator[Batch, None, None]:
        order = epoch_order(self._dataset, self._seed, epoch) if self._shuffle else None
        crew = self._crews.take()
        reading = ReadingAhead(crew, self._division, order, epoch, self._unreadable, tally)
        end, ahead = self.steps_per_epoch, self._division.ahead(self._workers)
        try:
            for step in range(start, min(start + ahead, end)):
                reading.begin(step)
            for step in range(start, end):
                # The caller is done with the batch before the previous one, whose memory this is.
                if step + ahead < end:
                    reading.begin(step + ahead)
                yield reading.next()
        finally:
            reading.leave()
            self._crews.give_back(crew)


def _layout(dataset: Dataset, preprocessing: Preprocessing, size: int, soft_labels: bool) -> BatchLayout:
    picture = (preprocessing.height, preprocessing.width, preprocessing.channels)
    targets = [(name, values.dtype.str, values.shape[1:]) for name, values in dataset.targets.items()]
    if soft_labels:
        if SOFT_LABELS in dataset.targets or not dataset.classes:
            raise UsageError(f"soft labels need a data set that has classes and no target {SOFT_LABELS!r} of its own")
        targets.append((SOFT_LABELS, "<f4", (len(dataset.classes),)))
    return BatchLayout(size, picture, tuple(targets))


def _task(kind: WorkerKind, dataset: Dataset, filler: Filler, layout: BatchLayout) -> MemoryFile | None:
    """What worker processes are given; None for threads."""
    if kind not in get_args(WorkerKind):
        raise UsageError(f"workers are auto, threads or processes, not {kind!r}")
    if kind == "threads" or (kind == "auto" and (len(dataset) < FEW or not isinstance(dataset, EncodedDataset))):
        return None
    try:
        return packed((filler, layout))
    except Exception as error:
        if kind == "auto":
            return None
        raise UsageError(
            f"worker processes cannot have this data set: {error}; define its class in a module, or use threads"
        ) from error
