"""The cache of what took long: compiled kernels, the tuner's choices, lists of data sets."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from gpunn.cache import CACHE_VARIABLE
from gpunn.diagnosis.finding import Finding, Status
from gpunn.diagnosis.kept_files import damaged_choices, damaged_libraries
from gpunn.diagnosis.machine import Machine
from gpunn.diagnosis.running import ProbeError
from gpunn.diagnosis.situation import Situation
from gpunn.diagnosis.writing import LITTLE_SPACE, mend_permission, nearest, roomy_folder, trial
from gpunn.errors import UsageError

_LISTED = 4


def examine(situation: Situation) -> Iterator[Finding]:
    """Can it be written, is it this user's alone, and is everything in it whole?"""
    machine = situation.machine
    # The emulator loads what it builds from there; all others only lose time.
    severity: Status = "problem" if situation.device == "emulator" else "warning"
    try:
        folder = machine.cache("cubins").parent
    except UsageError as error:
        yield Finding("cache", severity, str(error).partition(";")[0], _elsewhere(machine))
        return
    existing = nearest(folder)
    refused = trial(existing)
    if refused is not None:
        text = f"{folder} cannot be written: {refused.strerror}"
        yield Finding("cache", severity, text, _mend(machine, folder, existing, refused))
    elif machine.free_bytes(existing) < LITTLE_SPACE:
        text = f"only {machine.free_bytes(existing) / 2**20:,.0f} MiB are free on the disk of {folder}"
        yield Finding("cache", "warning", text, _elsewhere(machine))
    else:
        yield Finding("cache", "ok", f"{folder} can be written")
    if os.path.isdir(folder):
        yield from _foreign(machine, folder)
        yield from _damaged(machine, folder)


def _mend(machine: Machine, folder: Path, existing: Path, error: OSError) -> str:
    if error.errno == errno.ENOTDIR:
        return f"mv {shlex.quote(str(existing))} {shlex.quote(f'{existing}.old')}"
    if existing == folder and error.errno in (errno.EACCES, errno.EPERM) and folder.stat().st_uid != machine.user:
        return f'sudo chown -R "$(id -u):$(id -g)" {shlex.quote(str(folder))}'
    return mend_permission(machine, existing, error) or _elsewhere(machine)


def _elsewhere(machine: Machine) -> str:
    roomy = roomy_folder(machine)
    return "df -h" if roomy is None else f'export {CACHE_VARIABLE}="$(mktemp -d -p {shlex.quote(str(roomy))})"'


def _foreign(machine: Machine, folder: Path) -> Iterator[Finding]:
    """Programs in the cache are run as they are."""
    status = folder.stat()
    quoted = shlex.quote(str(folder))
    if status.st_uid not in (machine.user, 0):
        text = f"{folder} belongs to user {status.st_uid}, who decides what is run from it"
        yield Finding("cache", "warning", text, _elsewhere(machine))
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding("cache", "warning", f"{folder} can be written by other users", f"chmod -R go-w {quoted}")


def _damaged(machine: Machine, folder: Path) -> Iterator[Finding]:
    damaged = [
        *_damaged_kernels(machine),
        *damaged_libraries(machine.cache("emulator")),
        *damaged_choices(machine.cache("tuning")),
    ]
    if damaged:
        names = ", ".join(path.name for path in damaged[:_LISTED])
        more = f" and {len(damaged) - _LISTED} more" if len(damaged) > _LISTED else ""
        text = f"{len(damaged)} damaged: {names}{more}"
        paths = damaged if len(damaged) <= _LISTED else sorted({path.parent for path in damaged})
        remedy = " ".join(["rm -r" if len(damaged) > _LISTED else "rm", *(shlex.quote(str(path)) for path in paths)])
        yield Finding("cache", "warning", text, remedy)


def _damaged_kernels(machine: Machine) -> list[Path]:
    folder = machine.cache("cubins")
    if next(folder.glob("*.cubin"), None) is None:
        return []
    try:
        return [folder / name for name in machine.ask("kept_kernels")["damaged"]]
    except ProbeError:
        # Without the compiler nothing is taken from the cache; the compiler has a finding of its own.
        return []
