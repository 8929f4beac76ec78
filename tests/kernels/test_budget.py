"""Every kernel through the real compiler, without a GPU: none spills, and none takes more than it is allowed.

The budget is renewed by `gpunn kernels --write-budget tests/kernels/budget.json`, which measures all architectures;
here one of each generation is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gpunn.backend.cuda.disassembly import disassembler
from gpunn.backend.cuda.kernel_budget import budget_of, overruns, parse_budget
from gpunn.backend.cuda.report import KernelReport, jobs, report
from gpunn.backend.cuda.source import packaged_sources

#: Turing, Ampere, Hopper with what only it has, Blackwell.
GENERATIONS = ("75", "80", "90a", "120")
BUDGET = parse_budget((Path(__file__).parent / "budget.json").read_text())


@pytest.fixture(scope="module", params=GENERATIONS)
def reports(request: pytest.FixtureRequest) -> Sequence[KernelReport]:
    """All kernels on one architecture."""
    pytest.importorskip("cuda.bindings.nvrtc")
    disassembler()
    return report(jobs(packaged_sources(), [request.param]))


def test_no_kernel_spills(reports: Sequence[KernelReport]) -> None:
    assert [(one.kernel, one.architecture, one.spill_bytes) for one in reports if one.spill_bytes] == []


def test_a_block_fits_on_a_multiprocessor(reports: Sequence[KernelReport]) -> None:
    assert [(one.kernel, one.architecture) for one in reports if one.occupancy == 0] == []


def test_kernels_keep_their_budget(reports: Sequence[KernelReport]) -> None:
    assert list(overruns(BUDGET, budget_of(reports))) == []


def test_the_budget_is_of_the_kernels_that_there_are() -> None:
    files = {source.path.name: set(source.signatures) for source in packaged_sources()}
    for kernel, _ in BUDGET:
        file, name = kernel.split(" ", 1)
        assert name.split("<")[0] in files.get(file, set()), f"{kernel} is gone; write the budget anew"
