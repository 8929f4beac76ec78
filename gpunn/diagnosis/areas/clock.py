"""The system's clock: one that was set back makes certificates, build tools and the names of runs go wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gpunn.diagnosis.areas.disk import RUNS
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.situation import Situation
from gpunn.errors import UsageError

#: Seconds by which the clocks of a machine and of its file server may differ.
TOLERANCE = 600


def examine(situation: Situation) -> Iterator[Finding]:
    """Is it behind files that are there?"""
    machine = situation.machine
    now = machine.now()
    text = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    newest, written = max(_times(situation), key=lambda each: each[1])
    if written <= now + TOLERANCE:
        yield Finding("clock", "ok", text)
        return
    later = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(written))
    remedy = "sudo hwclock --hctosys" if situation.is_wsl else "sudo timedatectl set-ntp true"
    where = "   # on the host of this container" if situation.is_container else ""
    yield Finding("clock", "problem", f"it is {text}, but {newest} was written at {later}", remedy + where)


def _times(situation: Situation) -> Iterator[tuple[Path, float]]:
    """When each of the files was written; others may remove theirs meanwhile."""
    for path in _files(situation):
        with suppress(OSError):
            yield path, path.stat().st_mtime


def _files(situation: Situation) -> Iterator[Path]:
    """Some that were written when gpunn was installed or used."""
    machine = situation.machine
    yield from machine.installation.glob("*.py")
    # What cannot be looked into has a finding of its own.
    with suppress(OSError):
        yield from (machine.folder / RUNS).glob("*")
    with suppress(OSError, UsageError):
        for room in ("cubins", "emulator"):
            yield from machine.cache(room).glob("*")
