"""g++, with which the emulator builds kernels for the CPU."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding, Status
from gpunn.diagnosis.running import ProbeError
from gpunn.diagnosis.situation import Situation

#: By a program that only distributions of that kind have.
_INSTALL = {
    "apt-get": "sudo apt-get install g++",
    "dnf": "sudo dnf install gcc-c++",
    "pacman": "sudo pacman -S gcc",
    "zypper": "sudo zypper install gcc-c++",
}


def examine(situation: Situation) -> Iterator[Finding]:
    """Does it build what loads? Without it everything but the emulator works."""
    machine = situation.machine
    severity: Status = "problem" if situation.device == "emulator" else "warning"
    if machine.python.processor != "x86_64":
        text = f"the emulator runs on x86-64 only, not on {machine.python.processor}"
        yield Finding("emulator", "problem" if situation.device == "emulator" else "ok", text)
        return
    gxx = next((command for program, command in _INSTALL.items() if machine.program(program)), _INSTALL["apt-get"])
    if machine.program("g++") is None:
        text = "g++ is not installed; only --device emulator needs it"
        yield Finding("emulator", severity, text, gxx)
        return
    try:
        found = machine.ask("emulator")
    except ProbeError as error:
        yield Finding("emulator", severity, str(error))
        return
    version = f"g++ {found['version']}"
    if "refused" in found:
        yield Finding("emulator", severity, f"{version} cannot build a library: {found['refused']}", _again(gxx))
    elif "does not load" in found:
        text = f"what {version} builds in the cache folder does not load ({found['does not load']})"
        yield Finding("emulator", severity, text, 'export GPUNN_CACHE="$(mktemp -d)"   # a disk that may hold programs')
    else:
        yield Finding("emulator", "ok", f"{version} builds libraries, and they load")


def _again(install: str) -> str:
    """The compiler is there, but not all that belongs to it."""
    return install.replace("apt-get install g++", "apt-get install --reinstall g++ libc6-dev")
