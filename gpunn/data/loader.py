"""Batches of pictures, read ahead of the training step by a few threads into buffers that are used again and again."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.cores import available_cores
from gpunn.data.augmentation import Augmentation
from gpunn.data.dataset import Dataset
from gpunn.data.preprocessing import Preprocessing, check_picture
from gpunn.errors import DataError, UsageError
from gpunn.random import Stream, generator

BUFFERS = 4
"""Batches in memory: the one in use, the one before it, and two that are being read."""


@dataclass(frozen=True, eq=False)
class Batch:
    """N pictures. The arrays belong to the loader: a batch is valid until the next but one is asked for.

    Attributes:
        images: uint8, (N, H, W, C).
        labels: int32, (N,).
        placement: int32, (N, 3): top and left of the network's input inside the image, and 1 where it is to be
            mirrored. The loader's images have the size of the input, so top and left are 0.
        indices: int64, (N,), the samples' places in the data set.
        targets: the data set's targets, (N, ...) by name; augmentation changes images only.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    placement: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int64]
    targets: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, first: int, last: int) -> Batch:
        """The samples from `first` up to, not including, `last`; a view."""
        return Batch(
            self.images[first:last],
            self.labels[first:last],
            self.placement[first:last],
            self.indices[first:last],
            {name: values[first:last] for name, values in self.targets.items()},
        )


class Loader:
    """Divides a data set into batches, epoch by epoch.

    What a batch holds depends on the seed, the epoch and its place in the epoch, never on the number of workers or
    on what was read before.

    Attributes:
        steps_per_epoch: the batches of one epoch; the last one may be short.
        waited_seconds: how long the caller of the latest `batches` has waited for data.
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
    ) -> None:
        """Nothing is read before `batches` is called.

        Args:
            dataset: at least one picture.
            preprocessing: the size and channels of the batches.
            batch_size: pictures in every batch but the last.
            seed: of order and augmentation.
            augmentation: None: each picture as it is evaluated.
            shuffle: a new order each epoch instead of the data set's own.
            workers: threads that read; None: one for each core this process may use.

        Raises:
            DataError: the data set is empty.
            UsageError: `batch_size` or `workers` is below 1.
        """
        if len(dataset) == 0:
            raise DataError("the data set is empty: there is no batch to be had")
        if batch_size < 1:
            raise UsageError(f"the batch size must be at least 1, got {batch_size}")
        self._workers = available_cores() if workers is None else workers
        if self._workers < 1:
            raise UsageError(f"the number of workers must be at least 1, got {workers}")
        self._dataset = dataset
        self._preprocessing = preprocessing
        self._batch_size = min(batch_size, len(dataset))
        self._seed = seed
        self._augmentation = augmentation or Augmentation()
        self._shuffle = shuffle
        self.steps_per_epoch = -(-len(dataset) // self._batch_size)
        self.waited_seconds = 0.0

    def batches(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch, from number `start` on.

        Closing the generator, or dropping it, ends its threads.

        Raises:
            UsageError: `start` is not a place in the epoch.
            DataError: a picture cannot be read; raised in place of the batch that would hold it.
        """
        if not 0 <= start <= self.steps_per_epoch:
            raise UsageError(f"batch {start} asked for; an epoch has {self.steps_per_epoch} batches")
        self.waited_seconds = 0.0
        return self._produce(epoch, start)

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        if not self._shuffle:
            return np.arange(len(self._dataset), dtype=np.int64)
        return generator(self._seed, Stream.SHUFFLE, second=epoch).permutation(len(self._dataset)).astype(np.int64)

    def _produce(self, epoch: int, start: int) -> Generator[Batch, None, None]:
        order = self._order(epoch)
        ring = self._allocate()
        stopped = threading.Event()
        reading: deque[tuple[Batch, list[Future[None]]]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="gpunn-loader")

        def read_ahead(step: int) -> None:
            if step >= self.steps_per_epoch:
                return
            indices = order[step * self._batch_size : (step + 1) * self._batch_size]
            batch = ring[step % BUFFERS].part(0, len(indices))
            batch.indices[:] = indices
            bounds = np.linspace(0, len(batch), min(self._workers, len(batch)) + 1).astype(int).tolist()
            parts = [batch.part(first, last) for first, last in pairwise(bounds)]
            reading.append((batch, [pool.submit(self._fill, part, epoch, stopped) for part in parts]))

        try:
            for step in range(start, min(start + BUFFERS - 2, self.steps_per_epoch)):
                read_ahead(step)
            for step in range(start, self.steps_per_epoch):
                # The caller is done with batch step - 2, whose buffer this is.
                read_ahead(step + BUFFERS - 2)
                batch, parts = reading.popleft()
                asked = time.perf_counter()
                try:
                    for part in parts:
                        part.result()
                finally:
                    self.waited_seconds += time.perf_counter() - asked
                yield batch
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _allocate(self) -> list[Batch]:
        size = self._batch_size
        shape = (size, self._preprocessing.height, self._preprocessing.width, self._preprocessing.channels)
        return [
            Batch(
                np.empty(shape, np.uint8),
                np.empty(size, np.int32),
                np.zeros((size, 3), np.int32),
                np.empty(size, np.int64),
                {
                    name: np.empty((size, *values.shape[1:]), values.dtype)
                    for name, values in self._dataset.targets.items()
                },
            )
            for _ in range(min(BUFFERS, self.steps_per_epoch))
        ]

    def _fill(self, batch: Batch, epoch: int, stopped: threading.Event) -> None:
        """Reads the pictures of `batch.indices` into the other arrays of `batch`."""
        draws = self._augmentation.draw(self._seed, epoch, batch.indices)
        for position, index in enumerate(batch.indices.tolist()):
            if stopped.is_set():
                return
            batch.images[position] = self._picture(index, draws[position])
        self._augmentation.move(batch.images, draws)
        batch.labels[:] = self._dataset.labels[batch.indices]
        for name, values in self._dataset.targets.items():
            batch.targets[name][:] = values[batch.indices]
        batch.placement[:, 2] = self._augmentation.mirrored(draws)

    def _picture(self, index: int, draw: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
        try:
            picture = self._dataset.load(index)
            check_picture(picture)
            height, width, _ = picture.shape
            if self._augmentation.crop_area is None:
                box = self._preprocessing.evaluation_box(height, width)
            else:
                box = self._augmentation.crop_box(draw, height, width)
            return self._preprocessing.render(picture, box)
        except DataError as error:
            if self._dataset.name(index) in str(error):
                raise
            raise DataError(f"{self._dataset.name(index)}: {error}") from error
        except Exception as error:
            raise DataError(f"{self._dataset.name(index)}: {type(error).__name__}: {error}") from error
