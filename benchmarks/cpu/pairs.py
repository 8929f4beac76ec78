"""Two sides in turn, so that both meet the same moods of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

from gpunn.timing.stopwatch import Series, Subject


@dataclass(frozen=True)
class Pairs:
    """Seconds of both sides, sample by sample.

    Attributes:
        ours: of gpunn.
        theirs: of the other library, each taken beside ours of the same place.
    """

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of ours over the median of theirs, which lies within the spread."""
        return median(self.ours) / median(self.theirs)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a pair."""
        ratios = self._ratios()
        return min(ratios), max(ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between which the middle half of the ratios lies: what held up a pair or two does not count."""
        low, _, high = quantiles(self._ratios(), n=4, method="inclusive")
        return low, high

    def _ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]


@dataclass(frozen=True)
class Rounds:
    """How many pairs are taken: as many as fit some seconds, between a fewest and a most.

    Attributes:
        settle: is called before each sample.
        clock: seconds; a test has its own.
    """

    fewest: int
    most: int
    seconds: float
    settle: Callable[[], object]
    clock: Callable[[], float] = time.monotonic

    def take(self, ours: Subject, theirs: Subject) -> Pairs:
        """After a warm-up of both, a pair a round; who is first changes from round to round."""
        sides = []
        for subject in (ours, theirs):
            self.settle()
            sides.append(Series(subject))
        begun = self.clock()
        done = 0
        while done < self.fewest or (done < self.most and self.clock() - begun < self.seconds):
            for side in sides if done % 2 == 0 else reversed(sides):
                self.settle()
                side.take()
            done += 1
        return Pairs(*(side.seconds for side in sides))
