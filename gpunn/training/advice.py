"""What helps most when the device waits for data, with a number. Everything here is arithmetic on measurements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from gpunn.training.time_spent import TimeSpent

#: A device that waits less has nothing to complain of.
TOLERATED_WAIT = 0.1
#: Seconds of an epoch that are not worth a line.
TOLERATED_SECONDS = 0.5

#: How many times as many photographs the fast decoder reads as Pillow (JPEG of 500x375, cropped to 224x224).
FAST_GAIN = 1.6
#: Seconds in which a worker takes a packed picture: what a picture costs, and what each byte in the batch does, where
#: it is copied, and where it is scaled by a decoder. Of 224x224 that is 12,000 copied, 1,600 or 4,400 scaled a second.
PACKED_PICTURE_SECONDS = 30e-6
PACKED_BYTE_SECONDS = 0.34e-9
SCALED_BYTE_SECONDS = {"pillow": 4e-9, "fast": 1.3e-9}


@dataclass(frozen=True)
class Reading:
    """How the images of a run are read.

    Attributes:
        workers: how many read.
        cores: that this process may use.
        encoded: whether pictures are image files, and not pixels in memory or in a packed file.
        decoder: by name.
        fast_is_installed: whether the decoder "fast" can be had.
        image_bytes: of one picture in a batch.
        scales: whether augmentation scales each picture in another way, so that packed pictures have to be scaled, too.
    """

    workers: int
    cores: int
    encoded: bool
    decoder: str
    fast_is_installed: bool
    image_bytes: int
    scales: bool


@dataclass(frozen=True)
class Remedy:
    """Something to do about it.

    Attributes:
        text: what.
        how: an option, or a command.
        rate: images a second that the workers would read then.
        takes_room: on the disk, as much as the pixels of all images.
    """

    text: str
    how: str
    rate: float
    takes_room: bool = False

    def __str__(self) -> str:
        return f"{self.text} ({self.how}, about {_rounded(self.rate):,} images/s)"


@dataclass(frozen=True)
class Advice:
    """A line for a person.

    Attributes:
        text: of the line.
        remedies: what it says to do, without the numbers, which differ from epoch to epoch.
    """

    text: str
    remedies: tuple[str, ...]


def advise(spent: TimeSpent, images: int, reading: Reading) -> Advice | None:
    """One line for an epoch in which the device waited more than 10% of the time; None where nothing is to be said.

    The remedy is the one with the largest predicted rate, none counted for more than the device could take; of
    several that reach it, the one that costs the least. Where the workers could read faster than the device
    computes, it waited for the epoch to get going, for which there is no remedy.

    Args:
        spent: in training the epoch.
        images: that were trained with.
        reading: how they were read.
    """
    if spent.wait_fraction <= TOLERATED_WAIT or spent.waited < TOLERATED_SECONDS or sum(spent.decoding) <= 0:
        return None
    rate = reading.workers * spent.images_read / sum(spent.decoding)
    possible = images / max(spent.seconds - spent.waited, 1e-9)
    if rate >= possible:
        return None
    chosen = _choice([remedy for remedy in _remedies(reading, rate, possible) if remedy.rate > rate], possible)
    said = " or ".join(map(str, chosen)) or "all cores are in use: choose a lighter augmentation, or use more cores"
    return Advice(
        f"the device waited {spent.wait_fraction:.0%} of the time: {'decoding' if reading.encoded else 'preparing'} "
        f"{rate:,.0f} images/s on {_workers(reading.workers)}; the step could take {possible:,.0f}; {said}",
        tuple(remedy.how for remedy in chosen),
    )


def _remedies(reading: Reading, rate: float, possible: float) -> Iterator[Remedy]:
    """What can be done, cheaper things first."""
    each = rate / reading.workers
    workers = min(reading.cores, ceil(possible / each))
    if workers > reading.workers:
        yield Remedy(f"use {_workers(workers)}", f"--workers {workers}", workers * each)
    if reading.encoded and reading.decoder == "pillow":
        install = "" if reading.fast_is_installed else "pip install 'gpunn[fast]', then "
        yield Remedy("decode with libjpeg-turbo", f"{install}--set decoder=fast in a new run", FAST_GAIN * rate)
    if reading.encoded:
        each_byte = SCALED_BYTE_SECONDS[reading.decoder] if reading.scales else PACKED_BYTE_SECONDS
        seconds = PACKED_PICTURE_SECONDS + each_byte * reading.image_bytes
        yield Remedy("pack the data", "gpunn data pack SRC DST", reading.workers / seconds, takes_room=True)


def _choice(remedies: list[Remedy], possible: float) -> list[Remedy]:
    """The best of the remedies; beside one that takes room, the cheapest one that takes none."""
    if not remedies:
        return []
    best = max(remedies, key=lambda remedy: min(remedy.rate, possible))
    cheapest = remedies[0]
    return [best, cheapest] if best.takes_room and not cheapest.takes_room else [best]


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count > 1 else ''}"


def _rounded(rate: float) -> int:
    """To two digits: it is a prediction."""
    return int(float(f"{rate:.2g}"))
