"""Keeping a process on so many cores while it is timed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def pinned(threads: int, system: Path = Path("/")) -> Iterator[tuple[int, ...]]:
    """Keep every thread of the process, and those that it starts, on `threads` cores, and give the others back at the
    end.

    Threads may change places among these cores: libraries that start threads of their own would else have all of them
    on the core of the one that calls.

    Args:
        threads: how many cores are wanted; fewer where the process may not use so many.
        system: the folder that holds sys.

    Returns:
        The cores; none where the system cannot keep threads anywhere.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield ()
        return
    before = {thread: os.sched_getaffinity(thread) for thread in _threads()}
    allowed = os.sched_getaffinity(0)
    chosen = tuple(sorted(apart(allowed, system)[:threads]))
    try:
        for thread in before:
            _move(thread, set(chosen))
        yield chosen
    finally:
        for thread in _threads():
            _move(thread, before.get(thread, allowed))


def apart(cores: set[int], system: Path) -> list[int]:
    """The cores in an order in which those that share their arithmetic units with one before come last.

    (The Linux kernel's documentation of sysfs: topology/thread_siblings_list.)
    """
    met: set[str] = set()
    first: list[int] = []
    later: list[int] = []
    for core in sorted(cores):
        siblings = _siblings(core, system)
        (later if siblings in met else first).append(core)
        met.add(siblings)
    return first + later


def _siblings(core: int, system: Path) -> str:
    """Equal for two cores that are one core with two threads."""
    try:
        text = (system / f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(core)
    return " ".join(re.findall(r"\d+", text)) or str(core)


def _threads() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]


def _move(thread: int, cores: set[int]) -> None:
    # A thread may have ended since it was listed.
    with suppress(ProcessLookupError):
        os.sched_setaffinity(thread, cores)
