"""How a run reads its images, and what it does about those that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from gpunn.data.loading.loader import TIMEOUT, WorkerKind
from gpunn.errors import UsageError

#: What is done about an image that cannot be read.
Policy = Literal["raise", "skip", "quarantine"]


@dataclass(frozen=True)
class LoaderSettings:
    """How images are read; only the decoder has a part in what their pixels are.

    Attributes:
        decoder: "auto", "pillow" or "fast".
        worker_kind: "auto", "threads" or "processes".
        timeout: seconds after which storage that does not answer ends the run.
        unreadable: "raise" ends the run, "skip" leaves the image out, "quarantine" leaves it out and writes it into
            RUN/quarantine.jsonl, which the next run can be given.

    Raises:
        UsageError: when `unreadable` is none of these.
    """

    decoder: str = "auto"
    worker_kind: WorkerKind = "auto"
    timeout: float = TIMEOUT
    unreadable: Policy = "raise"

    def __post_init__(self) -> None:
        if self.unreadable not in get_args(Policy):
            raise UsageError(f"unreadable is {self.unreadable!r}; choose {', '.join(get_args(Policy))}")
