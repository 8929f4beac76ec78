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
        The cores; none where the system cannot keep threads anywhere, or forbids it.
    """
    if not hasattr(os, "sched_getaffinity"):
        yield ()
        return
    before = _affinities()
    allowed = os.sched_getaffinity(0)
    chosen = tuple(sorted(apart(allowed, system)[:threads]))
    if not _is_kept_on(chosen):
        yield ()
        return
    try:
        for thread in before:
            _move(thread, set(chosen))
        yield chosen
    finally:
        for thread in threads_of_this_process():
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


def _is_kept_on(cores: tuple[int, ...]) -> bool:
    """Keep the calling thread there, unless the system forbids it."""
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        return False
    return True


def threads_of_this_process() -> list[int]:
    """By their numbers; one may have ended since it was listed."""
    return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]


def _affinities() -> dict[int, set[int]]:
    found = {}
    for thread in threads_of_this_process():
        with suppress(ProcessLookupError):
            found[thread] = os.sched_getaffinity(thread)
    return found


def _move(thread: int, cores: set[int]) -> None:
    with suppress(ProcessLookupError):
        os.sched_setaffinity(thread, cores)
