"""pip's commands for the environment that gpunn runs in, as one would type them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from gpunn.diagnosis.machine import Machine


def install(machine: Machine, *requirements: str, options: Sequence[str] = ()) -> str:
    """Install; pip takes the gpunn that is there and adds what an extra needs."""
    return " ".join([_pip(machine), "install", *_target(machine), *options, *map(_quoted, requirements)])


def uninstall(machine: Machine, packages: Sequence[str]) -> str:
    """Remove packages without a question."""
    yes = [] if _needs_uv(machine) else ["-y"]
    return " ".join([_pip(machine), "uninstall", *_target(machine), *yes, *packages])


def _pip(machine: Machine) -> str:
    if _needs_uv(machine):
        return "uv pip"
    found = machine.program("pip")
    if found is not None and Path(found).parent == machine.python.prefix / "bin":
        return "pip"
    return f"{shlex.quote(machine.python.executable)} -m pip"


def _target(machine: Machine) -> list[str]:
    if _needs_uv(machine):
        return ["--python", shlex.quote(machine.python.executable)]
    return ["--break-system-packages"] if machine.python.is_externally_managed else []


def _needs_uv(machine: Machine) -> bool:
    """Environments that uv made have no pip."""
    return machine.package("pip") is None and machine.program("uv") is not None


def _quoted(requirement: str) -> str:
    """Shells take brackets and comparisons for their own."""
    return f'"{requirement}"' if set(requirement) & set("[]<>=; ") else requirement
