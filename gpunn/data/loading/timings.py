"""Where the time of an epoch went, as far as the loader knows."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.data.loading.workers import Outcome


@dataclass(frozen=True)
class Timings:
    """What was measured since an epoch's `batches` began.

    Attributes:
        waited_seconds: how long the caller has waited for a batch.
        busy_seconds: how long each worker has read, decoded and augmented.
        images: how many pictures the workers have read in that time; up to the batches read ahead, these are more
            than the caller has seen.
    """

    waited_seconds: float
    busy_seconds: tuple[float, ...]
    images: int


class Tally:
    """Adds up what becomes `Timings`.

    Args:
        workers: how many there are.
    """

    def __init__(self, workers: int) -> None:
        self._waited = 0.0
        self._busy = [0.0] * workers
        self._images = 0

    def add_wait(self, seconds: float) -> None:
        """The caller has waited so long."""
        self._waited += seconds

    def add(self, outcome: Outcome, images: int) -> None:
        """A job is done that had so many pictures."""
        self._busy[outcome.worker] += outcome.seconds
        self._images += images - len(outcome.failures)

    def timings(self) -> Timings:
        """The sums so far."""
        return Timings(self._waited, tuple(self._busy), self._images)
