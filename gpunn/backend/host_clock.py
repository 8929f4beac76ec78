"""Times of what is over when the call returns: on the CPU, and in the emulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def host_seconds(steps: Sequence[Callable[[], object]]) -> list[float]:
    """Seconds of each, one after another; what lies between two of them counts for neither."""
    seconds = []
    for step in steps:
        begun = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begun)
    return seconds
