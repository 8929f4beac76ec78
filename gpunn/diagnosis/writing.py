"""Can a folder be written, and how much goes in?"""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
from pathlib import Path

from gpunn.diagnosis.machine import Machine

#: Bytes written for a trial: a block of most disks.
TRIAL = 4096
#: Checkpoints and compiled kernels of a few runs.
LITTLE_SPACE = 2**30
_TEMPORARY = ("/var/tmp", "/tmp", "/dev/shm")
_FORBIDDEN = (errno.EACCES, errno.EPERM)


def nearest(folder: Path) -> Path:
    """The folder, or where it is not there or not to be seen, the nearest above it that is."""
    return next(each for each in (folder, *folder.parents) if os.path.exists(each))


def trial(folder: Path) -> OSError | None:
    """What goes wrong when a file is written into a folder; nothing is left behind."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(TRIAL))
            file.flush()
    except OSError as error:
        return error
    return None


def mend_permission(machine: Machine, folder: Path, error: OSError) -> str | None:
    """The command by which the owner of a folder may write it; None where permission is not what is wrong, or the
    folder is somebody else's."""
    if error.errno not in _FORBIDDEN or folder.stat().st_uid != machine.user:
        return None
    return f"chmod u+rwx {shlex.quote(str(folder))}"


def roomy_folder(machine: Machine) -> Path | None:
    """A folder for temporary files that can be written and has space."""
    for name in _TEMPORARY:
        folder = machine.root / name.lstrip("/")
        if folder.is_dir() and trial(folder) is None and machine.free_bytes(folder) >= LITTLE_SPACE:
            return folder
    return None
