"""How busy the machine is with something else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

SAMPLES, SECONDS = 20, 1.0
#: More threads of others than this make times longer than they are.
MOST_OTHERS = 0.5


def others_running(system: Path = Path("/"), sleep: Callable[[float], object] = time.sleep) -> float | None:
    """Threads besides the calling one that want to run, on average over a second; None where the system does not tell.

    The load average, which remembers minutes, would count the comparison before this one. (The fourth field of
    /proc/loadavg: the Linux kernel's documentation of the proc file system.)

    Args:
        system: the folder that holds proc.
        sleep: waits so many seconds; a test has its own.
    """
    found = []
    for _ in range(SAMPLES):
        try:
            running, _, _ = (system / "proc/loadavg").read_text().split()[3].partition("/")
        except (OSError, IndexError):
            return None
        found.append(int(running) - 1)
        sleep(SECONDS / SAMPLES)
    return fmean(found)


def warning(others: float | None) -> str | None:
    """Why figures are not worth comparing; None where few others ran, or nobody knows."""
    if others is None or others <= MOST_OTHERS:
        return None
    return f"{others:.1f} threads of other processes wanted to run before it measured: the machine was busy"
