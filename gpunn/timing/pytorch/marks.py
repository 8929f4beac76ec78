"""Points in time between the parts of a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gpunn.timing.network_step import Direction

#: What is told when a part has ended: the layer, or "input", "loss", "optimizer", and the direction.
Passed = Callable[[str, Direction], None]


@dataclass(frozen=True)
class Clock:
    """How a device tells time.

    Attributes:
        now: a point in time, as the device meets it among its work.
        finish: waits until all points are known.
        seconds: between two of them.
    """

    now: Callable[[], Any]
    finish: Callable[[], object]
    seconds: Callable[[Any, Any], float]


def cpu_clock() -> Clock:
    """Of a device that has ended what it was told to do when a call returns."""
    return Clock(time.perf_counter, lambda: None, lambda begun, ended: ended - begun)


def cuda_clock(torch: Any, device: str) -> Clock:
    """Events in the stream of work, so that nothing waits between the parts."""

    def now() -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        return event

    return Clock(now, lambda: torch.cuda.synchronize(device), lambda begun, ended: begun.elapsed_time(ended) / 1000)


def parts_of(step: Callable[[Passed], object], clock: Clock) -> list[tuple[str, Direction, float]]:
    """Run a step that tells when a part has ended; each part with its seconds, since the end of the one before."""
    clock.finish()
    names: list[tuple[str, Direction]] = []
    points = [clock.now()]

    def passed(name: str, direction: Direction) -> None:
        names.append((name, direction))
        points.append(clock.now())

    step(passed)
    clock.finish()
    spans = pairwise(points)
    return [(*name, clock.seconds(*span)) for name, span in zip(names, spans, strict=True)]
