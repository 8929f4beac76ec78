"""Where a run's batches come from, what they lack, and what helps when they come too late."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path

from gpunn.cores import available_cores
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import EncodedDataset, Split
from gpunn.data.decoding.by_name import decoder
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.crew import Pin
from gpunn.data.loading.loader import Loader
from gpunn.data.loading.readable import readable
from gpunn.data.preprocessing import Preprocessing
from gpunn.training.advice import Reading, advise
from gpunn.training.loader_settings import LoaderSettings
from gpunn.training.omissions import Omissions
from gpunn.training.plan import Plan
from gpunn.training.time_spent import TimeSpent


class Supply:
    """The loaders of both halves of a split.

    Args:
        split: what they read.
        preprocessing: how an image becomes the network's input.
        augmentation: what is done to training images.
        plan: batch size, seed and workers.
        settings: how they read.
        quarantine: where images that cannot be read are written to, if the settings say so.
        say: takes a line for the user.
        pin: of the device that batches go to; None: they lie in memory like any other.

    Attributes:
        training: in a new order each epoch.
        validation: in the data set's order.
        decoder: what "auto" has become.
    """

    def __init__(
        self,
        split: Split,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None,
        plan: Plan,
        settings: LoaderSettings,
        quarantine: Path | None,
        say: Callable[[str], None],
        pin: Pin | None = None,
    ) -> None:
        chosen = decoder(settings.decoder)
        load = partial(
            Loader,
            preprocessing=preprocessing,
            batch_size=plan.batch_size,
            seed=plan.seed,
            workers=plan.workers,
            worker_kind=settings.worker_kind,
            decoder=chosen,
            unreadable="raise" if settings.unreadable == "raise" else "skip",
            timeout=settings.timeout,
            soft_labels=augmentation is not None and augmentation.mixes,
            pin=pin,
        )
        self.decoder = chosen.name
        self.training = load(split.train, augmentation=augmentation, shuffle=True)
        self.validation = load(split.validation)
        halves = {"train": split.train, "validation": split.validation}
        self._omissions = Omissions(halves, quarantine if settings.unreadable == "quarantine" else None, say)
        self._say = say
        self._advised: tuple[str, ...] | None = None
        self._reading = Reading(
            workers=len(self.training.timings.busy_seconds),
            cores=available_cores(),
            encoded=isinstance(split.train, EncodedDataset),
            decoder=chosen.name,
            fast_is_installed=decoder("auto").name == "fast",
            image_bytes=preprocessing.height * preprocessing.width * preprocessing.channels,
            scales=augmentation is not None and augmentation.crop_area is not None,
        )

    def train(self, epoch: int, start: int) -> Generator[Batch, None, None]:
        """The training batches of an epoch from number `start` on; what they lack is told."""
        return self._told("train", self.training.batches(epoch, start))

    def validate(self) -> Generator[Batch, None, None]:
        """The validation batches that hold images, likewise.

        Raises:
            DataError: there are none.
        """
        with closing(self._told("validation", self.validation.batches(0))) as batches:
            yield from readable(batches)

    def end_epoch(self, spent: TimeSpent, images: int) -> None:
        """Say what there is to say after an epoch; advice that was given before is not given again.

        Args:
            spent: in training.
            images: that were trained with.
        """
        self._omissions.end_epoch()
        advice = advise(spent, images, self._reading)
        if advice is not None and advice.remedies != self._advised:
            self._advised = advice.remedies
            self._say(advice.text)

    def close(self) -> None:
        """End all workers; new ones begin when batches are asked for again."""
        self.training.close()
        self.validation.close()

    def _told(self, half: str, batches: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
        with closing(batches):
            for batch in batches:
                self._omissions.take(half, batch)
                yield batch
