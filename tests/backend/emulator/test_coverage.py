"""Branch coverage of kernels whose branches one can count."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from gpunn.backend.cuda.launching.launch import Grid, Launcher
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.coverage import BranchCoverage, branch_coverage
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory
from gpunn.errors import DeviceError, UsageError

SOURCE = KernelSource(Path(__file__).parent / "branches.cu")
POSITIVE, MIXED, LARGE = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, -1.0, 2.0, -2.0, 3.0], [100.0, 1.0, 1.0, 1.0, 1.0]


def launch(folder: Path, kernel: str, x: list[float], bias: list[float] | None = None, dtype: str = "float32") -> None:
    executor = EmulatorExecutor(EmulatorSettings(coverage=folder))
    values = np.array(x).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    arguments = {"y": np.zeros_like(values), "x": values, "n": len(x)}
    if kernel == "clamp":
        arguments["bias"] = None if bias is None else np.array(bias, np.float32)
    Launcher(HostMemory(), executor).launch_from(SOURCE, kernel, Grid((1, 1, 1), (4, 1, 1)), arguments)
    executor.close()


def missed(folder: Path) -> set[str]:
    """The marks of the lines with a branch that was not taken."""
    lines = SOURCE.text.splitlines()
    return {lines[number - 1].partition("// BRANCH: ")[2] for number in branch_coverage(folder)["branches.cu"].missed}


def test_branches_that_no_launch_takes_are_missed(tmp_path: Path) -> None:
    launch(tmp_path, "clamp", POSITIVE)
    assert missed(tmp_path) == {"in a function that is inlined twice", "in a template", "bias"}
    # Four lines with two branches each; of the loop both are taken, of the others one.
    assert branch_coverage(tmp_path)["branches.cu"] == BranchCoverage(5, 8, (10, 16, 28))


def test_branches_add_up_over_launches_kernels_instances_and_types(tmp_path: Path) -> None:
    launch(tmp_path, "clamp", POSITIVE)
    launch(tmp_path, "identity", MIXED, dtype="bfloat16")
    assert missed(tmp_path) == {"in a template", "bias"}
    launch(tmp_path, "identity", LARGE)
    assert missed(tmp_path) == {"bias"}
    launch(tmp_path, "clamp", POSITIVE, bias=POSITIVE)
    assert missed(tmp_path) == set()
    assert branch_coverage(tmp_path)["branches.cu"].ratio == 1.0


def test_headers_are_counted_too(tmp_path: Path) -> None:
    launch(tmp_path, "clamp", POSITIVE, dtype="bfloat16")
    assert set(branch_coverage(tmp_path)) == {"branches.cu", "primitives.cuh"}


def test_a_folder_without_counts_covers_nothing(tmp_path: Path) -> None:
    assert branch_coverage(tmp_path) == {}


def test_counts_that_gcov_cannot_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.gcda").write_bytes(b"not counts")
    with pytest.raises(DeviceError, match=r"gcov cannot read .*broken\.gcda"):
        branch_coverage(tmp_path)


def test_coverage_and_checks_are_two_builds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one"):
        EmulatorSettings(check=True, coverage=tmp_path)
