"""A command in a container: what a container engine does with the kernel's namespaces, by unshare and chroot.

The root of files is read-only, only the volumes can be written, there is no network but loopback, and /dev/shm has the
64 MB of Docker's default. The command is process 1. Limits of memory, filters of system calls and the engine's own
supervision are not there: that docker stops and checks as the tests do here is its documentation's word.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.container.building import Image

#: Longer than anything here takes on a machine that others use too.
SECONDS = 300.0

_ENTER = """
set -e
root=$1 user=$2 volumes=$3 system=$4
shift 4
mount --bind "$root" "$root"
for volume in "$volumes"/*; do mount --bind "$volume" "$root/${volume##*/}"; done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/dev/shm"
if [ -n "$system" ]; then mount --bind "$system" "$root/sys"; fi
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""


@dataclass(frozen=True)
class Sandbox:
    """How the containers of a test are started.

    Attributes:
        image: what they are made from.
        volumes: a folder that holds one folder for each volume, named as its place inside; anybody may write there.
        user: by number, with a group.
        system: a folder in the place of /sys.
    """

    image: Image
    volumes: Path
    user: str = ""
    system: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, image: Image, folder: Path) -> Sandbox:
        """As `docker run --read-only --network none` starts an image: its user, and new volumes."""
        for volume in image.configuration["Volumes"]:
            path = folder / volume.strip("/")
            path.mkdir()
            # An engine gives a new volume the rights of the folder in the image.
            path.chmod((image.root / volume.strip("/")).stat().st_mode)
        environment = dict(pair.split("=", 1) for pair in image.configuration["Env"])
        return cls(image, folder, image.configuration["User"], environment=environment)

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator[Container]:
        """Start a program as process 1; it is killed at the end if it is still there."""
        namespaces = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")
        given = (str(self.image.root), self.user, str(self.volumes), str(self.system or ""))
        with subprocess.Popen(
            ["unshare", *namespaces, "sh", "-c", _ENTER, "sh", *given, *command],
            env={**self.environment, "PATH": f"{self.environment['PATH']}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield Container(self, process)
            finally:
                process.kill()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`docker run IMAGE ARGUMENTS`, to its end."""
        return self.run_program(*self.image.configuration["Entrypoint"], *arguments)

    def run_program(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Any program, to its end."""
        with self.start(command) as container:
            printed, _ = container.process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(command, container.process.returncode, printed)


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    sandbox: Sandbox
    process: subprocess.Popen[str]

    @property
    def processes(self) -> list[int]:
        """Process 1 and its children, by their numbers outside."""
        started = _children(self.process.pid)
        return [*started, *(child for one in started for child in _children(one))]

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """`docker exec`: a program in the container, as its user."""
        user, group = self.sandbox.user.split(":")
        return subprocess.run(
            [
                *("nsenter", "--target", str(self.processes[0]), "--mount", "--pid", "--net", "--ipc", "--uts"),
                *("--root", "--wd", "--setuid", user, "--setgid", group, *command),
            ],
            env=dict(self.sandbox.environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def stop(self) -> tuple[int, str]:
        """`docker stop`: SIGTERM to process 1; its exit status, and what it had printed."""
        os.kill(self.processes[0], signal.SIGTERM)
        printed, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, printed


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Look several times a second."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"in {SECONDS:.0f} s it never came true that {what}"
        time.sleep(0.1)


def _children(process: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
