"""AlexNet's test: what a network says of ten crops of an image, averaged.

The crops are the four corners, the centre, and the mirrors of these (Krizhevsky, Sutskever and Hinton, "ImageNet
classification with deep convolutional neural networks", 2012, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import fsum
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import UsageError
from gpunn.training.learner import Learner
from gpunn.training.totals import Totals

CROPS = 10


@dataclass(frozen=True)
class TenCrop:
    """The larger pictures that crops are taken from, and their places.

    Attributes:
        input: how an image becomes the network's input when only its centre is looked at.

    Raises:
        UsageError: when that leaves nothing around the centre.
    """

    input: Preprocessing

    def __post_init__(self) -> None:
        shown = (self.input.height, self.input.width)
        if self.input.resize != "crop" or self.input.resize_to <= min(shown):
            raise UsageError(
                f"--crops {CROPS} needs images larger than the network's input, and this run shows it whole images, "
                f"{'stretched' if self.input.resize == 'stretch' else 'scaled'} to {shown[0]}x{shown[1]}; "
                "leave --crops out"
            )

    @property
    def pictures(self) -> Preprocessing:
        """Gives the centre square of an image whose shorter side is scaled to `resize_to`."""
        return replace(self.input, height=self.input.resize_to, width=self.input.resize_to)

    @property
    def places(self) -> tuple[tuple[int, int, int], ...]:
        """Top, left, and whether to mirror, of each crop of that square."""
        below, beside = self.input.resize_to - self.input.height, self.input.resize_to - self.input.width
        corners = ((0, 0), (0, beside), (below, 0), (below, beside), (below // 2, beside // 2))
        return tuple((top, left, mirror) for mirror in (0, 1) for top, left in corners)

    @property
    def description(self) -> str:
        """What the network sees of `pictures`, in words."""
        shown = f"{self.input.height}x{self.input.width}"
        return f"the network sees {CROPS} crops of {shown} of each: the corners, the centre, and their mirrors"

    def probabilities(self, learner: Learner, batch: Batch) -> npt.NDArray[np.float64]:
        """The mean over the crops of each class's probability, (N, classes); the device crops and mirrors.

        Args:
            learner: of a network for `input`.
            batch: of `pictures`.

        Raises:
            DivergedError: when a score is not finite.
        """
        size = (self.pictures.height, self.pictures.width)
        crops = (
            learner.predict(replace(batch, placement=np.tile(np.array(place, np.int32), (len(batch), 1))), size)
            for place in self.places
        )
        mean: npt.NDArray[np.float64] = np.mean(list(crops), axis=0)
        return mean

    def evaluate(self, learner: Learner, batches: Iterable[Batch]) -> Totals:
        """Cross-entropy, top-1 and top-5 of those means over some batches of `pictures`; `learner` as above."""
        measured = list(self._measured(learner, batches))
        losses, ranks = (np.concatenate(parts) for parts in zip(*measured, strict=True))
        loss = fsum(losses.tolist())
        return Totals(loss, float((ranks < 1).sum()), float((ranks < 5).sum()), float(len(ranks)), (loss,))

    def _measured(self, learner: Learner, batches: Iterable[Batch]) -> Iterator[tuple[Any, Any]]:
        """For each batch: the loss of every image, and how many classes are more likely than its own."""
        for batch in batches:
            mean = self.probabilities(learner, batch)
            right = mean[np.arange(len(batch)), batch.labels]
            # Ten probabilities that all underflow would make one image outweigh all others.
            losses = -np.log(np.maximum(right, np.finfo(np.float64).tiny))
            yield losses, (mean > right[:, np.newaxis]).sum(axis=1)
