"""Times of steps on a GPU's stream: an event before and after each, all queued while a kernel holds the GPU.

(CUDA C++ Programming Guide, asynchronous concurrent execution: elapsed time of events.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.traits import Hold

#: Steps that are queued at a time: CUDA takes some thousand launches, and a step may be several.
MOST_QUEUED = 128
#: How long the GPU is held for each step: as long as it took to queue one the last time, and this much longer.
MARGIN = 1.5
LONGEST_HOLD = 1e-3


class EventClock:
    """The clock of a GPU.

    It learns how long the host takes, so that the first times may hold what launching takes: they are a warm-up's.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._hold_seconds = LONGEST_HOLD

    def __call__(self, steps: Sequence[Callable[[], object]], hold: Hold) -> list[float]:
        """Seconds of each step.

        Args:
            steps: what to do, in this order.
            hold: launches what keeps the GPU busy for so many seconds.
        """
        seconds: list[float] = []
        for first in range(0, len(steps), MOST_QUEUED):
            seconds += self._queued(steps[first : first + MOST_QUEUED], hold)
        return seconds

    def _queued(self, steps: Sequence[Callable[[], object]], hold: Hold) -> list[float]:
        cuda, stream = self._gpu.cupy.cuda, self._gpu.stream
        with self._gpu.at_work("timing a step call by call"):
            marks = [cuda.Event() for _ in range(len(steps) + 1)]
            hold(self._hold_seconds * len(steps))
            begun = time.perf_counter()
            marks[0].record(stream)
            for step, mark in zip(steps, marks[1:], strict=True):
                step()
                mark.record(stream)
            self._hold_seconds = min(LONGEST_HOLD, MARGIN * (time.perf_counter() - begun) / len(steps))
            marks[-1].synchronize()
            return [float(cuda.get_elapsed_time(begin, end)) / 1000 for begin, end in pairwise(marks)]
