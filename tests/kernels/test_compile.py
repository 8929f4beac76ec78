"""The real compiler, without a GPU. See test_budget.py for what it makes of every kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpunn.backend.cuda.compiling.compile import KernelResources, compile_kernels, parse_resources
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.errors import DeviceError


@pytest.fixture(autouse=True)
def _nvrtc() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")


def test_compiler_errors_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "broken.cu"
    path.write_text('extern "C" __global__ void broken(float* y) {\n  y[0] = undeclared;\n}\n')
    with pytest.raises(DeviceError, match=r'broken\.cu does not compile for sm_80:(.|\n)*identifier "undeclared"'):
        compile_kernels(KernelSource(path), "80")


def test_spills_are_read_from_the_log() -> None:
    log = (
        "ptxas info    : Compiling entry function 'first' for 'sm_90'\n"
        "ptxas info    : Function properties for first\n"
        "ptxas         .     8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
        "ptxas info    : Used 64 registers, used 1 barriers, 8 bytes cumulative stack size, 8448 bytes smem\n"
        "ptxas info    : Compiling entry function 'second' for 'sm_90'\n"
        "ptxas info    : Function properties for second\n"
        "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
        "ptxas info    : Used 20 registers\n"
    )
    assert parse_resources(log) == {
        "first": KernelResources(64, spill_stores=4, spill_loads=12, stack=8, static_shared=8448),
        "second": KernelResources(20, spill_stores=0, spill_loads=0, stack=0, static_shared=0),
    }
