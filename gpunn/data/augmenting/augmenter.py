"""All changes of an augmentation, in their order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.colours import change_colours
from gpunn.data.augmenting.cropping import random_box, window_box
from gpunn.data.augmenting.draws import Draw, Draws, draw
from gpunn.data.augmenting.erasing import erase
from gpunn.data.augmenting.mixing import mix
from gpunn.data.augmenting.moving import mirror, move
from gpunn.data.augmenting.noise import add_noise, noise_levels
from gpunn.data.decoding.picture import Box
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import UsageError


class Augmenter:
    """Carries an augmentation out. Every number depends on the seed, the epoch and the index of a picture only.

    So neither the number of workers nor a restart changes a picture.

    Args:
        augmentation: what is done.
        preprocessing: how pictures are evaluated, which is what is shown of them where there is no random crop.
        seed: of the run.

    Raises:
        UsageError: light was asked for without the axes along which it changes.
    """

    def __init__(self, augmentation: Augmentation, preprocessing: Preprocessing, seed: int) -> None:
        if augmentation.lighting and augmentation.colour_axes is None and preprocessing.channels == 3:
            raise UsageError(
                "augmentation: lighting needs colour_axes, which gpunn.data.adaptation.colour_axes(dataset) measures"
            )
        self.augmentation = augmentation
        self._preprocessing = preprocessing
        self._seed = seed
        self._noise_levels = noise_levels(augmentation.noise) if augmentation.noise else None

    def draw(self, epoch: int, indices: npt.NDArray[np.int64]) -> Draws:
        """The random numbers of these pictures, a row each, which the other methods take."""
        if not self.augmentation.draws:
            return np.zeros((len(indices), len(Draw)))
        return draw(self._seed, epoch, indices)

    def box(self, row: Draws, size: tuple[int, int]) -> Box:
        """What is shown of a picture.

        Args:
            row: its draws.
            size: its height and width.
        """
        augmentation = self.augmentation
        if augmentation.crop_area is not None:
            area, ratio, top, left = row[Draw.AREA : Draw.LEFT + 1].tolist()
            return random_box(augmentation.crop_area, augmentation.crop_ratio, (area, ratio, top, left), size)
        if augmentation.crop_window:
            return window_box(self._preprocessing, row, size)
        return self._preprocessing.evaluation_box(*size)

    def change(self, images: npt.NDArray[np.uint8], draws: Draws, epoch: int, indices: npt.NDArray[np.int64]) -> None:
        """Moves and colours pictures, (N, H, W, C), adds noise and erases, in place."""
        if self.augmentation.moves:
            move(self.augmentation, images, draws)
        if self.augmentation.colours:
            change_colours(self.augmentation, images, draws)
        if self._noise_levels is not None:
            add_noise(images, self._noise_levels, self._seed, epoch, indices)
        if self.augmentation.erase:
            erase(self.augmentation, images, draws, self._seed, epoch, indices)

    def mirror(self, images: npt.NDArray[np.uint8], draws: Draws) -> npt.NDArray[np.bool_]:
        """Which pictures are still to be mirrored, (N,).

        Mirroring is left to the device that trains. Only pictures that will be mixed are mirrored here, each part of
        a mixture by itself.
        """
        mirrored: npt.NDArray[np.bool_] = draws[:, Draw.MIRROR] < self.augmentation.mirror
        if not self.augmentation.mixes:
            return mirrored
        if mirrored.any():
            mirror(images, mirrored)
        return np.zeros_like(mirrored)

    def mix(
        self,
        images: npt.NDArray[np.uint8],
        soft_labels: npt.NDArray[np.float32],
        draws: Draws,
        sound: npt.NDArray[np.int64],
    ) -> None:
        """Mixes pictures with others of the part, as `gpunn.data.augmenting.mixing` says, in place."""
        if self.augmentation.mixes:
            mix(self.augmentation, images, soft_labels, draws, sound)
