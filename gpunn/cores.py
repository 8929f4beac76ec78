"""How many cores this process may keep busy, and what they are called."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path


def available_cores(system: Path = Path("/")) -> int:
    """The cores that the process may run on, cut by the processor time that its control groups allow; at least one.

    Part of a core does not count: the thread on it would hold up all others that wait for its share.

    Args:
        system: the folder that holds proc and sys.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not every system has affinities
        cores = os.cpu_count() or 1
    return max(1, min([cores, *_quotas(system)]))


def processor_name(system: Path = Path("/")) -> str:
    """As the system tells it, such as "AMD EPYC 9B14"; the architecture where it does not.

    Args:
        system: the folder that holds proc.
    """
    lines = _text(system / "proc/cpuinfo").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next((name for name in names if name), platform.machine())


def _quotas(system: Path) -> Iterator[int]:
    """Whole cores that the control groups of the process allow, one number for each limit.

    Both versions are in use: cpu.max of version 2, cpu.cfs_quota_us and cpu.cfs_period_us of version 1 (the Linux
    kernel's documentation of control groups).
    """
    for line in _text(system / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, files = "sys/fs/cgroup", ["cpu.max"]
        elif "cpu" in controllers.split(","):
            mount, files = "sys/fs/cgroup/cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        for group in _groups(system / mount, path):
            match " ".join(_text(group / file) for file in files).split():
                case [quota, period] if quota.isdigit() and int(period) > 0:
                    yield int(quota) // int(period)


def _groups(mount: Path, path: str) -> Iterator[Path]:
    """The folders of the group at `path` and of all that hold it; a container may see its own as the outermost."""
    parts = [part for part in path.split("/") if part]
    for depth in range(len(parts) + 1):
        yield mount.joinpath(*parts[:depth])


def _text(file: Path) -> str:
    """What stands in a file of the system; nothing where there is none."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
