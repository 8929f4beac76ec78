"""The place of a run: what besides the tensors has to be known to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gpunn.errors import CheckpointError
from gpunn.program.controls import TOTALS
from gpunn.training.time_spent import TimeSpent

#: What checkpoints of earlier versions do not hold.
_ADDED = {"copied", "decoding", "images_read", "skipped"}


@dataclass
class Progress:
    """Counters of a run.

    Attributes:
        epoch: epochs that are complete.
        batch: batches of the running epoch that are done; always at the end of an update.
        step: updates since the run began.
        totals: of each objective, loss sum, top-1 hits, top-5 hits and images of the running epoch; none where it
            has not begun.
        seconds: spent in training the running epoch.
        waited: of these, spent waiting for data.
        early_stopping: its state.
        finished: the run has ended: all epochs, or patience used up.
        copied, decoding, images_read: of the running epoch, as in `TimeSpent`.
        skipped: training images of the running epoch that could not be read.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    totals: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0
    early_stopping: dict[str, Any] = field(default_factory=dict)
    finished: bool = False
    copied: float = 0.0
    decoding: list[float] = field(default_factory=list)
    images_read: int = 0
    skipped: int = 0

    @property
    def spent(self) -> TimeSpent:
        """Where the time of the running epoch went."""
        return TimeSpent(self.seconds, self.waited, self.copied, tuple(self.decoding), self.images_read)

    @spent.setter
    def spent(self, spent: TimeSpent) -> None:
        self.seconds, self.waited, self.copied = spent.seconds, spent.waited, spent.copied
        self.decoding, self.images_read = list(spent.decoding), spent.images_read

    def to_manifest(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)

    @classmethod
    def from_manifest(cls, values: Mapping[str, Any]) -> Progress:
        """What `to_manifest` gave, of this version or of one that measured less.

        Raises:
            CheckpointError: when it is not that.
        """
        known = {field.name for field in fields(cls)}
        if not known - _ADDED <= set(values) <= known or not _are_sums(values["totals"]):
            raise CheckpointError("the checkpoint's progress is not that of a training run; train anew")
        return cls(**values)


def _are_sums(totals: Any) -> bool:
    return isinstance(totals, list) and all(isinstance(own, list) and len(own) == TOTALS for own in totals)
