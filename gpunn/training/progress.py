"""The place of a run: what besides the tensors has to be known to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gpunn.errors import CheckpointError
from gpunn.program.controls import TOTALS


@dataclass
class Progress:
    """Counters of a run.

    Attributes:
        epoch: epochs that are complete.
        batch: batches of the running epoch that are done; always at the end of an update.
        step: updates since the run began.
        totals: of each objective, loss sum, top-1 hits, top-5 hits and images of the running epoch; none where it
            has not begun.
        seconds: spent in the running epoch.
        waited: of these, spent waiting for data.
        early_stopping: its state.
        finished: the run has ended: all epochs, or patience used up.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    totals: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0
    early_stopping: dict[str, Any] = field(default_factory=dict)
    finished: bool = False

    def to_manifest(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)

    @classmethod
    def from_manifest(cls, values: Mapping[str, Any]) -> Progress:
        """What `to_manifest` gave.

        Raises:
            CheckpointError: when it is not that.
        """
        if set(values) != {known.name for known in fields(cls)} or not _are_sums(values["totals"]):
            raise CheckpointError("the checkpoint's progress is not that of a training run; train anew")
        return cls(**values)


def _are_sums(totals: Any) -> bool:
    return isinstance(totals, list) and all(isinstance(own, list) and len(own) == TOTALS for own in totals)
