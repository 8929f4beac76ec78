"""The check build against kernels that are wrong on purpose: it must name each bug with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.cuda.launching.launch import Grid, Launcher
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory
from gpunn.errors import DeviceError

FOLDER = Path(__file__).parent
SOURCES = [KernelSource(FOLDER / "seeded_bugs.cu"), KernelSource(FOLDER / "seeded_tensor_bugs.cu")]
GRID = Grid((2, 1, 1), (64, 1, 1), dynamic_shared_bytes=256)


@dataclass(frozen=True)
class Bug:
    """What the check build must say, and where."""

    line: int
    text: str


def expected_findings(source: KernelSource) -> dict[str, Bug | None]:
    """The bug of each kernel; None for kernels that are right."""
    found: dict[str, Bug | None] = {}
    kernel = ""
    for number, line in enumerate(source.text.splitlines(), 1):
        if match := re.match(r'extern "C" __global__ void (\w+)', line):
            kernel = match[1]
            found[kernel] = None
        if kernel and (mark := re.search(r"// FINDS: (.*)", line)):
            found[kernel] = Bug(number, mark[1])
    return found


KERNELS = [(source, kernel, bug) for source in SOURCES for kernel, bug in expected_findings(source).items()]
WRONG = [pytest.param(source, kernel, bug, id=kernel) for source, kernel, bug in KERNELS if bug]
RIGHT = [pytest.param(source, kernel, id=kernel) for source, kernel, bug in KERNELS if not bug]
SETTINGS = {
    f"{schedule}, {copies}": EmulatorSettings(check=True, schedule=schedule, seed=3, copies=copies, workers=1)
    for schedule, copies in (("forward", "early"), ("forward", "late"), ("reverse", "early"), ("random", "late"))
}


@pytest.fixture(scope="module", params=SETTINGS.values(), ids=SETTINGS.keys())
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    executor = EmulatorExecutor(request.param)
    yield Launcher(HostMemory(), executor)
    executor.close()


def run(launcher: Launcher, source: KernelSource, kernel: str) -> None:
    x, y = np.ones(128, np.float32), np.zeros(128, np.float32)
    launcher.launch_from(source, kernel, GRID, {"x": x, "y": y})


@pytest.mark.parametrize(("source", "kernel", "bug"), WRONG)
def test_bug_is_found_at_its_line(launcher: Launcher, source: KernelSource, kernel: str, bug: Bug) -> None:
    with pytest.raises(DeviceError) as error:
        run(launcher, source, kernel)
    report = str(error.value)
    assert f"kernel {kernel}" in report
    assert re.search(rf"({re.escape(source.path.name)}:|thread \d+ at line ){bug.line}\b", report), report
    assert bug.text in report


@pytest.mark.parametrize(("source", "kernel"), RIGHT)
def test_nothing_is_found_in_right_kernels(launcher: Launcher, source: KernelSource, kernel: str) -> None:
    run(launcher, source, kernel)


def test_every_signature_was_read() -> None:
    assert len(WRONG) >= 46
    assert len(RIGHT) >= 7
    for source in SOURCES:
        assert set(source.signatures) == set(expected_findings(source))
