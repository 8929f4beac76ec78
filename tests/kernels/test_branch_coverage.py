"""The exercises take nearly every branch of the kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpunn.backend.cuda.launching.source import kernel_folder
from gpunn.backend.emulator.coverage import BranchCoverage, branch_coverage
from gpunn.backend.emulator.launcher import EmulatorSettings
from tests.backend.emulator.devices import emulator
from tests.kernels.exercises import every_exercise, results_of

LEAST_RATIO = 0.95
#: Of one file: a branch or two of a short one may be out of reach.
LEAST_RATIO_OF_A_FILE = 0.9
#: Files whose conditions stand in what only a GPU runs, beside its emulation.
ON_A_GPU_ONLY = {"primitives_tensor.cuh"}


@pytest.fixture(scope="module")
def coverage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BranchCoverage]:
    """Of every kernel file and header."""
    folder: Path = tmp_path_factory.mktemp("coverage")
    with emulator(EmulatorSettings(coverage=folder)) as device:
        for exercise in every_exercise():
            results_of(device, exercise)
    return branch_coverage(folder)


def test_branches_are_taken(coverage: dict[str, BranchCoverage], capsys: pytest.CaptureFixture[str]) -> None:
    taken, total = (sum(getattr(file, count) for file in coverage.values()) for count in ("taken", "total"))
    with capsys.disabled():
        for name, file in coverage.items():
            missed = f", missed in lines {', '.join(map(str, file.missed))}" if file.missed else ""
            print(f"\n{name:40} {file.taken:4} of {file.total:4} branches {file.ratio:7.1%}{missed}", end="")
        print(f"\n{taken} of {total} branches are taken: {taken / total:.1%}")
    assert taken / total >= LEAST_RATIO
    too_low = {name: file for name, file in coverage.items() if file.ratio < LEAST_RATIO_OF_A_FILE}
    assert not too_low


def test_every_file_with_branches_is_counted(coverage: dict[str, BranchCoverage]) -> None:
    conditions = ("if (", "for (", "while (", " ? ")
    with_branches = {
        path.name
        for path in (*kernel_folder().glob("*.cu"), *kernel_folder().glob("*.cuh"))
        if any(word in line.partition("//")[0] for line in path.read_text().splitlines() for word in conditions)
    }
    assert with_branches - ON_A_GPU_ONLY <= set(coverage)
