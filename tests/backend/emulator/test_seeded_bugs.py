"""The check build against kernels that are wrong on purpose: it must name each bug with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.cuda.launch import Grid, Launcher
from gpunn.backend.cuda.source import KernelSource
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings, ScheduleName
from gpunn.backend.emulator.memory import HostMemory
from gpunn.errors import DeviceError

SOURCE = KernelSource(Path(__file__).parent / "seeded_bugs.cu")
GRID = Grid((2, 1, 1), (64, 1, 1), dynamic_shared_bytes=256)


def expected_findings() -> dict[str, tuple[int, str] | None]:
    """For each kernel the line and the text of its bug; None for kernels that are right."""
    found: dict[str, tuple[int, str] | None] = {}
    kernel = ""
    for number, line in enumerate(SOURCE.text.splitlines(), 1):
        if match := re.match(r'extern "C" __global__ void (\w+)', line):
            kernel = match[1]
            found[kernel] = None
        if kernel and (mark := re.search(r"// FINDS: (.*)", line)):
            found[kernel] = (number, mark[1])
    return found


BUGS = {kernel: bug for kernel, bug in expected_findings().items() if bug is not None}
RIGHT = [kernel for kernel, bug in expected_findings().items() if bug is None]


@pytest.fixture(scope="module", params=["forward", "reverse", "random"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    schedule: ScheduleName = request.param
    executor = EmulatorExecutor(EmulatorSettings(check=True, schedule=schedule, seed=3, workers=1))
    yield Launcher(HostMemory(), executor)
    executor.close()


def run(launcher: Launcher, kernel: str) -> None:
    x, y = np.ones(128, np.float32), np.zeros(128, np.float32)
    launcher.launch_from(SOURCE, kernel, GRID, {"x": x, "y": y})


@pytest.mark.parametrize("kernel", BUGS)
def test_bug_is_found_at_its_line(launcher: Launcher, kernel: str) -> None:
    line, text = BUGS[kernel]
    with pytest.raises(DeviceError) as error:
        run(launcher, kernel)
    assert f"kernel {kernel}" in str(error.value)
    assert re.search(rf"seeded_bugs\.cu:{line}\b", str(error.value)), str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize("kernel", RIGHT)
def test_nothing_is_found_in_right_kernels(launcher: Launcher, kernel: str) -> None:
    run(launcher, kernel)


def test_every_signature_was_read() -> None:
    assert len(BUGS) >= 24
    assert set(SOURCE.signatures) == {*BUGS, *RIGHT}
