"""From samples of a data set to pixels in a batch: what a worker does, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Dataset, EncodedDataset
from gpunn.data.decoding.picture import Decoder, Picture, check_picture
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.failure import Failure
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import DataError


class Filler:
    """Reads, scales and augments pictures. What it writes depends on seed, epoch and index, and on nothing else.

    Args:
        dataset: what is read.
        preprocessing: size and channels of the images.
        augmentation: what is done to them.
        decoder: reads image files and scales pictures.
        seed: of the augmentation.
    """

    def __init__(
        self, dataset: Dataset, preprocessing: Preprocessing, augmentation: Augmentation, decoder: Decoder, seed: int
    ) -> None:
        self._dataset = dataset
        self._preprocessing = preprocessing
        self._augmentation = augmentation
        self._decoder = decoder
        self._seed = seed

    def fill(self, part: Batch, epoch: int, begin: Callable[[int], bool]) -> list[Failure]:
        """Reads the pictures of `part.indices` into the other arrays of `part`.

        Args:
            part: what to fill; images of failures keep what was there.
            epoch: of the augmentation.
            begin: called with the index of each picture before it is read; False ends the work.

        Returns:
            The pictures that could not be read.
        """
        draws = self._augmentation.draw(self._seed, epoch, part.indices)
        failures: list[Failure] = []
        for position, index in enumerate(part.indices.tolist()):
            if not begin(index):
                return failures
            try:
                self._draw(part.images[position], index, draws[position])
            except Exception as error:
                failures.append(Failure(position, index, self._reason(index, error)))
        self._augmentation.move(part.images, draws)
        part.labels[:] = self._dataset.labels[part.indices]
        for name, values in self._dataset.targets.items():
            part.targets[name][:] = values[part.indices]
        part.placement[:, :2] = 0
        part.placement[:, 2] = self._augmentation.mirrored(draws)
        return failures

    def _draw(self, out: npt.NDArray[np.uint8], index: int, draw: npt.NDArray[np.float64]) -> None:
        picture = self._open(index)
        if self._augmentation.crop_area is None:
            box = self._preprocessing.evaluation_box(*picture.size)
        else:
            box = self._augmentation.crop_box(draw, *picture.size)
        picture.draw(out, box)

    def _open(self, index: int) -> Picture:
        if isinstance(self._dataset, EncodedDataset):
            return self._decoder.open(self._dataset.read(index))
        pixels = self._dataset.load(index)
        check_picture(pixels)
        return self._decoder.picture(pixels)

    def _reason(self, index: int, error: Exception) -> str:
        name = self._dataset.name(index)
        if isinstance(error, DataError):
            return str(error) if name in str(error) else f"{name}: {error}"
        return f"{name}: {type(error).__name__}: {error}"
