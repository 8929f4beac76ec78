"""What kernels need, from the compiler alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpunn.backend.cuda.compiling.compile import KernelResources
from gpunn.backend.cuda.inspection import resources
from gpunn.backend.cuda.inspection.report import Job, report
from gpunn.backend.cuda.inspection.resources import measure_resources
from gpunn.backend.cuda.launching.source import KernelSource, packaged_source
from gpunn.cache import CacheFiles


@pytest.fixture(autouse=True)
def _compiler() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")


SHARING = """// Architectures: sm_75 and later
extern "C" __global__ void reverse(float* y, const float* x) {
    __shared__ float rows[3][256];
    rows[blockIdx.x % 3][threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = rows[blockIdx.x % 3][255 - threadIdx.x];
}
"""


def test_a_kernel_with_shared_memory(tmp_path: Path) -> None:
    path = tmp_path / "reverse.cu"
    path.write_text(SHARING)
    ((_, found),) = measure_resources([KernelSource(path)], "90", CacheFiles(tmp_path / "cache"))
    assert list(found) == ["reverse"]
    needs = found["reverse"]
    assert (needs.static_shared, needs.spill_stores, needs.spill_loads) == (3 * 256 * 4, 0, 0)
    assert 0 < needs.registers < 32


def test_the_report_on_kernels_says_the_same(tmp_path: Path) -> None:
    source = packaged_source("sgd.cu").choose({"ROUNDED": "bfloat16"})
    ((_, found),) = measure_resources([source], "80", CacheFiles(tmp_path))
    told = {one.kernel: (one.registers, one.spill_bytes) for one in report([Job(source, "80")])}
    assert told == {
        f"{name}{source.suffix}": (needs.registers, needs.spill_stores + needs.spill_loads)
        for name, needs in found.items()
    }


def test_what_was_compiled_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[tuple[str, str]] = []
    needs = KernelResources(7, 0, 0, 0, 64)

    def compile_one(wanted: tuple[KernelSource, str]) -> dict[str, KernelResources]:
        compiled.append((wanted[0].name, wanted[1]))
        return {"advance": needs}

    monkeypatch.setattr(resources, "_compile", compile_one)
    source, files = packaged_source("advance.cu"), CacheFiles(tmp_path)

    def measured(architecture: str) -> dict[KernelSource, resources.Resources]:
        return dict(measure_resources([source], architecture, files))

    assert measured("90") == measured("90") == {source: {"advance": needs}}
    assert measured("80") == {source: {"advance": needs}}
    assert compiled == [("advance.cu", "90"), ("advance.cu", "80")]
    monkeypatch.setattr(resources, "compiler_version", lambda: (99, 0))
    assert measured("80") == {source: {"advance": needs}}
    assert compiled == [("advance.cu", "90"), ("advance.cu", "80"), ("advance.cu", "80")]
    monkeypatch.undo()
    monkeypatch.setattr(resources, "_compile", compile_one)
    compiled.clear()
    for damage in (b"{", json.dumps({"advance": {"registers": 1}}).encode(), b"[3]", b""):
        (kept,) = tmp_path.glob("*sm_90*")
        kept.write_bytes(damage)
        compiled.clear()
        assert measured("90") == {source: {"advance": needs}}
        assert compiled == [("advance.cu", "90")]


def test_a_kernel_that_was_changed_is_compiled_again(tmp_path: Path) -> None:
    path = tmp_path / "reverse.cu"
    files = CacheFiles(tmp_path / "cache")
    for rows in (3, 4):
        path.write_text(SHARING.replace("3", str(rows)))
        ((_, found),) = measure_resources([KernelSource(path)], "90", files)
        assert found["reverse"].static_shared == rows * 256 * 4
