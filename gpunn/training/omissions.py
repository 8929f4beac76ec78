"""Images that could not be read and were left out: named, and written into a quarantine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gpunn.data.checking.keys import sample_key
from gpunn.data.checking.quarantine import append_to_quarantine, read_quarantine
from gpunn.data.dataset import Dataset
from gpunn.data.loading.batch import Batch
from gpunn.data.names import printable
from gpunn.errors import DataError

#: So many images are named in an epoch; the others are counted.
NAMED_IN_AN_EPOCH = 20


class Omissions:
    """Knows what the batches of a run have lacked.

    Args:
        halves: the data set of each half, by its name in a quarantine: "train", "validation".
        quarantine: the file to add them to; None writes nothing.
        say: takes a line for the user.
    """

    def __init__(self, halves: dict[str, Dataset], quarantine: Path | None, say: Callable[[str], None]) -> None:
        self._halves = halves
        self._quarantine = quarantine
        self._say = say
        self._known: set[str] = set()
        self._quarantined: set[str] | None = None
        self._named = 0
        self._unnamed = 0

    def take(self, half: str, batch: Batch) -> None:
        """Name and quarantine what a batch of that half lacks, each image the first time that it is missing."""
        new = {failure.reason: failure for failure in batch.skipped if failure.reason not in self._known}
        self._known.update(new)
        for reason in new:
            if self._named < NAMED_IN_AN_EPOCH:
                self._say(f"left out: {reason}")
                self._named += 1
            else:
                self._unnamed += 1
        if new and self._quarantine is not None:
            dataset = self._halves[half]
            self._write(
                self._quarantine,
                {
                    sample_key(dataset, half, one.index): one.reason.removeprefix(f"{dataset.name(one.index)}: ")
                    for one in new.values()
                },
            )

    def end_epoch(self) -> None:
        """Say how many were not named."""
        if self._unnamed:
            self._say(f"left out: {self._unnamed:,} more images that cannot be read")
        self._named = self._unnamed = 0

    def _write(self, quarantine: Path, reasons: dict[str, str]) -> None:
        """A disk that refuses costs no training."""
        try:
            if self._quarantined is None:
                self._quarantined = set(read_quarantine(quarantine)) if quarantine.exists() else set()
            append_to_quarantine(
                quarantine, {key: reason for key, reason in reasons.items() if key not in self._quarantined}
            )
            self._quarantined.update(reasons)
        except (OSError, DataError) as error:
            self._say(f"the quarantine '{printable(quarantine)}' could not be written: {error}")
            self._quarantine = None
