"""Every kernel through the real compiler, without a GPU: none spills, and none takes more than it is allowed.

The budget is renewed by `gpunn kernels --write-budget tests/kernels/budget.json`, which measures all architectures;
here one of each generation is compiled.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gpunn.backend.cuda.inspection.disassembly import disassembler
from gpunn.backend.cuda.inspection.kernel_budget import budget_of, overruns, parse_budget
from gpunn.backend.cuda.inspection.report import jobs, report
from gpunn.backend.cuda.launching.source import packaged_sources
from gpunn.cache import CacheFiles, cache_folder

#: Turing, Ampere, Hopper with what only it has, Blackwell.
GENERATIONS = ("75", "80", "90a", "120")
BUDGET = parse_budget((Path(__file__).parent / "budget.json").read_text())


@pytest.mark.parametrize("architecture", GENERATIONS)
def test_kernels_keep_their_budget_and_none_spills(architecture: str) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    disassembler()
    wanted = jobs(packaged_sources(), [architecture])
    reports = report(wanted, files=CacheFiles(cache_folder("kernel_reports")))
    assert [(one.kernel, one.spill_bytes) for one in reports if one.spill_bytes] == []
    assert [one.kernel for one in reports if one.occupancy == 0] == [], "a block does not fit on a multiprocessor"
    assert list(overruns(BUDGET, budget_of(reports))) == []


def test_the_budget_is_of_the_kernels_that_there_are() -> None:
    files = {source.path.name: set(source.signatures) for source in packaged_sources()}
    for kernel, _ in BUDGET:
        file, name = kernel.split(" ", 1)
        assert name.split("<")[0] in files.get(file, set()), f"{kernel} is gone; write the budget anew"
