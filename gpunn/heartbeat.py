"""A sign that a run makes progress, and the check by which a container's health is judged.

`python -m gpunn.heartbeat FOLDER` ends with 1 when a run below the folder hangs, and with 0 when all of them go on or
none is training. It imports nothing but the standard library, since it is started twice a minute beside a run.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

#: The file's name in the folder of a run.
NAME = "heartbeat"

#: Seconds between two beats, at least.
INTERVAL = 1.0

#: Seconds without a beat after which a run hangs: the longest step on a CPU, or the compilation of all kernels, is
#: shorter.
WITHIN = 300.0


class Heartbeat:
    """While entered, the file names this process, and its time of modification is that of the latest beat.

    A file that cannot be written costs the sign, never the run. What a killed process leaves behind names nobody who
    lives, and counts as nothing.

    Args:
        file: None beats nowhere.
        clock: in seconds.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._latest = clock()

    def __enter__(self) -> Heartbeat:
        self._latest = self._clock()
        if self._file is not None:
            with suppress(OSError):
                self._file.write_text(f"{os.getpid()} {_started(os.getpid())}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    def beat(self) -> None:
        """The run has come further; called as often as one likes."""
        now = self._clock()
        if self._file is not None and now - self._latest >= INTERVAL:
            self._latest = now
            with suppress(OSError):
                os.utime(self._file)


@dataclass(frozen=True)
class Sign:
    """A run in training.

    Attributes:
        run: its folder.
        age: seconds since its latest beat.
    """

    run: Path
    age: float


def signs(folder: Path) -> Iterator[Sign]:
    """Of all runs in a folder, or in folders within it, that a process of this system, or this container, trains."""
    for file in sorted(folder.rglob(NAME)):
        with suppress(OSError, ValueError):
            number, started = map(int, file.read_text().split())
            # Numbers of processes are given again; together with its start, a number is one process.
            if _started(number) == started:
                yield Sign(file.parent, time.time() - file.stat().st_mtime)


def _started(process: int) -> int:
    """When a process began, in the kernel's ticks since the machine did (proc_pid_stat(5), field 22).

    Raises:
        OSError: there is no such process; or it has ended, and waits to be reaped.
    """
    # The name of the program comes before, in brackets, and may hold anything.
    state, *fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    if state == "Z":
        raise ProcessLookupError
    return int(fields[18])


def check(folder: Path, within: float) -> int:
    """Print how each run stands, and give the exit status: 1 when one had no beat for more than `within` seconds."""
    status = 0
    found = list(signs(folder))
    for sign in found:
        if sign.age > within:
            status = 1
            print(f"{sign.run}: no step for {sign.age:.0f} s")
        else:
            print(f"{sign.run}: goes on")
    if not found:
        print(f"nothing is training in {folder}")
    return status


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser("python -m gpunn.heartbeat", description="Whether training goes on.")
    parser.add_argument("folder", type=Path, help="of runs, or of one run")
    parser.add_argument("--within", type=float, default=WITHIN, metavar="SECONDS", help="default: %(default)g")
    given = parser.parse_args(arguments)
    return check(given.folder, given.within)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
