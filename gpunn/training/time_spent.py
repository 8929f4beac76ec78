"""Where the time of training an epoch went, as the host sees it; validation has no part in it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import zip_longest

from gpunn.data.loading.loader import Loader
from gpunn.training.learner import Learner


@dataclass(frozen=True)
class TimeSpent:
    """Seconds, and what the workers did in them.

    Attributes:
        seconds: in all.
        waited: the device had no batch.
        copied: batches were given to the device. A GPU copies while it computes; that time is not seen here.
        decoding: of each worker, reading, decoding and augmenting.
        images_read: by all workers in that time; some of them belong to batches that were not asked for yet.
    """

    seconds: float = 0.0
    waited: float = 0.0
    copied: float = 0.0
    decoding: tuple[float, ...] = ()
    images_read: int = 0

    @property
    def wait_fraction(self) -> float:
        """0 to 1."""
        return self._fraction(self.waited)

    @property
    def copy_fraction(self) -> float:
        """0 to 1."""
        return self._fraction(self.copied)

    @property
    def compute_fraction(self) -> float:
        """What is left, 0 to 1: passes and updates, and what little the host does between them."""
        return max(0.0, 1.0 - self.wait_fraction - self.copy_fraction)

    @property
    def decode_fractions(self) -> tuple[float, ...]:
        """How busy each worker was, 0 to 1."""
        return tuple(self._fraction(seconds) for seconds in self.decoding)

    def _fraction(self, part: float) -> float:
        return min(1.0, part / self.seconds) if self.seconds > 0 else 0.0


class Stopwatch:
    """Runs while an epoch is trained.

    Args:
        before: what was spent before the epoch was interrupted.
        learner: is given batches.
        loader: waits and decodes; its own measure begins with `batches`.
    """

    def __init__(self, before: TimeSpent, learner: Learner, loader: Loader) -> None:
        self._before = before
        self._learner = learner
        self._loader = loader
        self._begun = time.monotonic()
        self._fed_before = learner.feeding_seconds

    def read(self) -> TimeSpent:
        """What was spent so far."""
        before, loading = self._before, self._loader.timings
        return TimeSpent(
            seconds=before.seconds + time.monotonic() - self._begun,
            waited=before.waited + loading.waited_seconds,
            copied=before.copied + self._learner.feeding_seconds - self._fed_before,
            decoding=tuple(map(sum, zip_longest(before.decoding, loading.busy_seconds, fillvalue=0.0))),
            images_read=before.images_read + loading.images,
        )
