"""From samples of a data set to pixels in a batch: what a worker does, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.augmenter import Augmenter
from gpunn.data.dataset import Dataset, EncodedDataset
from gpunn.data.decoding.picture import Box, Decoder, check_picture
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.failure import Failure
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.reasons import named_reason
from gpunn.data.targets import SOFT_LABELS
from gpunn.errors import UsageError


class Filler:
    """Reads, scales and augments pictures.

    What it writes depends on seed, epoch and index; what is mixed depends on the other pictures of the part, too.

    Args:
        dataset: what is read.
        preprocessing: size and channels of the images.
        augmentation: what is done to them.
        decoder: reads image files and scales pictures.
        seed: of the augmentation.

    Raises:
        UsageError: the augmentation lacks a setting.
    """

    def __init__(
        self, dataset: Dataset, preprocessing: Preprocessing, augmentation: Augmentation, decoder: Decoder, seed: int
    ) -> None:
        self._dataset = dataset
        # Asked once: the answer costs as much as the rest of a small picture.
        self._encoded = dataset if isinstance(dataset, EncodedDataset) else None
        self._augmenter = Augmenter(augmentation, preprocessing, seed)
        self._decoder = decoder

    def fill(self, part: Batch, epoch: int, begin: Callable[[int], bool]) -> list[Failure]:
        """Reads the pictures of `part.indices` into the other arrays of `part`.

        Args:
            part: what to fill; images of failures keep what was there.
            epoch: of the augmentation.
            begin: called with the index of each picture before it is read; False ends the work.

        Returns:
            The pictures that could not be read.

        Raises:
            UsageError: pictures are mixed, and the part has no soft labels.
        """
        draws = self._augmenter.draw(epoch, part.indices)
        failures: list[Failure] = []
        for position, index in enumerate(part.indices.tolist()):
            if not begin(index):
                return failures
            try:
                self._draw(part.images[position], index, draws[position])
            except Exception as error:
                failures.append(Failure(position, index, named_reason(self._dataset, index, error)))
        self._augmenter.change(part.images, draws, epoch, part.indices)
        part.labels[:] = self._dataset.labels[part.indices]
        for name, values in self._dataset.targets.items():
            part.targets[name][:] = values[part.indices]
        part.placement[:, :2] = 0
        part.placement[:, 2] = self._augmenter.mirror(part.images, draws)
        self._mix(part, draws, failures)
        return failures

    def _draw(self, out: npt.NDArray[np.uint8], index: int, row: npt.NDArray[np.float64]) -> None:
        if self._encoded is not None:
            picture = self._decoder.open(self._encoded.read(index))
            picture.draw(out, self._augmenter.box(row, picture.size))
            return
        pixels = self._dataset.load(index)
        check_picture(pixels)
        box = self._augmenter.box(row, (pixels.shape[0], pixels.shape[1]))
        region = _whole_pixels(pixels, box)
        if region.shape == out.shape:
            out[...] = region
        else:
            self._decoder.picture(pixels).draw(out, box)

    def _mix(self, part: Batch, draws: npt.NDArray[np.float64], failures: list[Failure]) -> None:
        soft_labels = part.targets.get(SOFT_LABELS)
        if soft_labels is None:
            if self._augmenter.augmentation.mixes:
                raise UsageError("mixup and cutmix need batches with soft labels; give Loader(soft_labels=True)")
            return
        soft_labels[...] = 0
        soft_labels[np.arange(len(part)), part.labels] = 1
        sound = np.delete(np.arange(len(part)), [failure.position for failure in failures])
        self._augmenter.mix(part.images, soft_labels, draws, sound)


def _whole_pixels(pixels: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """The region as it lies in the picture; an empty one where its edges are between pixels."""
    left, top, right, bottom = (int(edge) for edge in box)
    return pixels[top:bottom, left:right] if (left, top, right, bottom) == box else pixels[:0]
