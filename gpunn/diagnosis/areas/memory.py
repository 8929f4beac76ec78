"""The processor's memory, and what a control group leaves of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.situation import Situation

#: Bytes that a small network trains in, with its data and the workers.
LITTLE_MEMORY = 2**30
_AVAILABLE = re.compile(r"^MemAvailable: +(\d+) kB$", re.MULTILINE)
#: The limits of version 2 and of version 1, as a container sees its own (the Linux kernel's documentation of control
#: groups).
_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


def examine(situation: Situation) -> Iterator[Finding]:
    """How much is left."""
    machine = situation.machine
    available = _AVAILABLE.search(machine.text("proc/meminfo"))
    if available is None:
        return
    left = 1024 * int(available[1])
    limits = [int(text) for file in _LIMITS if (text := machine.text(file).strip()).isdecimal()]
    text = f"{left / 2**30:,.1f} GiB available"
    if limits and min(limits) < left:
        left = min(limits)
        text = f"the control group allows {left / 2**30:,.1f} GiB"
    if left >= LITTLE_MEMORY:
        yield Finding("memory", "ok", text)
    else:
        by_docker = situation.is_container and situation.has_docker and limits
        remedy = "docker run --memory 4g gpunn" if by_docker else "ps aux --sort=-rss | head"
        yield Finding("memory", "warning", text, remedy)
