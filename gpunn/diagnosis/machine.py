"""The machine under diagnosis: everything that an area asks of it, so that a test can make up any other."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpunn
from gpunn.cache import cache_folder
from gpunn.diagnosis.running import Ended, ask, run


@dataclass(frozen=True)
class Python:
    """The interpreter.

    Attributes:
        version: such as (3, 11, 9).
        prefix: the folder of the environment.
        is_externally_managed: the system's package manager keeps pip out of it (PEP 668).
    """

    version: tuple[int, int, int]
    executable: str
    prefix: Path
    system: str
    processor: str
    is_externally_managed: bool


@dataclass(frozen=True)
class Package:
    """What the metadata of an installed package say.

    Attributes:
        requires: its requirements, such as "numpy>=1.26".
        requires_python: such as ">=3.11".
        source: the folder or address it was installed from, where that was no index.
    """

    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    source: str | None = None


@dataclass(frozen=True)
class Machine:
    """Where to ask.

    Attributes:
        root: the folder that holds proc, sys, dev and etc.
        folder: where the command was started.
        installation: the folder of gpunn's modules.
        user: the number of the user.
        cores: that the process may run on.
        package: an installed package by its name.
        run: a program, with seconds to wait for it; None where it is not there.
        ask: the answer of a probe of gpunn.diagnosis.probes, by its name and arguments; raises ProbeError, and
            OSError where no process can be started.
        cache: the folder of one kind of kept results.
        free_bytes: of the disk that a folder lies on.
        now: seconds since 1970, as the system's clock has it.
    """

    root: Path
    folder: Path
    installation: Path
    environment: Mapping[str, str]
    user: int
    cores: int
    python: Python
    package: Callable[[str], Package | None]
    run: Callable[[Sequence[str], float], Ended | None]
    ask: Callable[..., dict[str, Any]]
    cache: Callable[[str], Path]
    free_bytes: Callable[[Path], int]
    now: Callable[[], float]

    def program(self, name: str) -> str | None:
        """Where a program lies on the PATH."""
        return shutil.which(name, path=self.environment.get("PATH", os.defpath))

    def text(self, file: str) -> str:
        """What stands in a file of the system; nothing where there is none."""
        try:
            return (self.root / file).read_text(errors="replace")
        except OSError:
            return ""


def this_machine() -> Machine:
    """The machine that runs."""
    return Machine(
        root=Path("/"),
        folder=Path.cwd(),
        installation=Path(gpunn.__file__).parent,
        environment=os.environ,
        user=os.getuid(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=_python(),
        package=_package,
        run=run,
        ask=ask,
        cache=cache_folder,
        free_bytes=lambda folder: shutil.disk_usage(folder).free,
        now=time.time,
    )


def _python() -> Python:
    in_environment = sys.prefix != sys.base_prefix
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return Python(
        version=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        executable=sys.executable,
        prefix=Path(sys.prefix),
        system=platform.system(),
        processor=platform.machine(),
        is_externally_managed=marker.exists() and not in_environment,
    )


def _package(name: str) -> Package | None:
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    url = json.loads(found.read_text("direct_url.json") or "{}").get("url")
    return Package(found.version, tuple(found.requires or ()), found.metadata["Requires-Python"] or "", url)
