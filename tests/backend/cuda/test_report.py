"""What is said about compiled kernels, for kernels whose machine code is plain to see."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gpunn.backend.cuda.compiling.compile import CompiledKernels, compile_kernels
from gpunn.backend.cuda.inspection import report as report_module
from gpunn.backend.cuda.inspection.cubin import kernel_codes
from gpunn.backend.cuda.inspection.disassembly import disassembler
from gpunn.backend.cuda.inspection.kernel_budget import budget_of, format_budget, overruns, parse_budget
from gpunn.backend.cuda.inspection.report import KernelReport, dynamic_shared_bytes, jobs, report
from gpunn.backend.cuda.launching.source import KernelSource, packaged_source
from gpunn.cache import CacheFiles
from gpunn.errors import DeviceError, UsageError

ROOT = Path(__file__).parents[3]
TEXT = """// Architectures: sm_75 and later
// STORED: float | bfloat16

#include "primitives.cuh"

extern "C" __global__ void __launch_bounds__(96) narrow(STORED* y, const STORED* x) { y[threadIdx.x] = x[threadIdx.x]; }

extern "C" __global__ void wide(float4* y, const float4* x) {
  __shared__ float4 held[64];
  held[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = held[63 - threadIdx.x];
}
"""


@pytest.fixture
def source(tmp_path: Path) -> KernelSource:
    pytest.importorskip("cuda.bindings.nvrtc")
    disassembler()
    path = tmp_path / "example.cu"
    path.write_text(TEXT)
    return KernelSource(path)


def test_every_choice_and_architecture_is_a_job(source: KernelSource) -> None:
    assert len(jobs([source])) == 2 * 8
    few = jobs([source], ["90a", "75"])
    assert [(job.source.suffix, job.architecture) for job in few] == [
        ("<float>", "75"),
        ("<float>", "90a"),
        ("<bfloat16>", "75"),
        ("<bfloat16>", "90a"),
    ]


@pytest.mark.parametrize("architecture", ["75", "90a", "120"])
def test_reports(source: KernelSource, architecture: str) -> None:
    reports = {one.kernel: one for one in report(jobs([source], [architecture]))}
    assert set(reports) == {"narrow<float>", "narrow<bfloat16>", "wide<float>", "wide<bfloat16>"}
    narrow, wide = reports["narrow<bfloat16>"], reports["wide<float>"]
    assert (narrow.file, narrow.architecture) == ("example.cu", architecture)
    assert (narrow.spill_bytes, narrow.shared_bytes, narrow.wide_loads, narrow.tensor_core_instructions) == (0, 0, 0, 0)
    # One load from global memory and one from shared memory.
    assert (wide.spill_bytes, wide.shared_bytes, wide.wide_loads, wide.tensor_core_instructions) == (0, 1024, 2, 0)
    assert 0 < narrow.registers < 32


def test_products_of_matrices_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    path = tmp_path / "product.cu"
    path.write_text(
        "// Architectures: sm_80 and later\n"
        'extern "C" __global__ void product(unsigned* y, const unsigned* x) {\n'
        "  unsigned d[2] = {0, 0};\n"
        '  asm volatile("mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3}, {%4}, {%0, %1};"\n'
        '               : "+r"(d[0]), "+r"(d[1]) : "r"(x[0]), "r"(x[1]), "r"(x[2]));\n'
        "  y[threadIdx.x] = d[0] + d[1];\n"
        "}\n"
    )
    (found,) = report(jobs([KernelSource(path)], ["80"]))
    assert found.tensor_core_instructions == 1


def test_the_largest_block_is_that_of_the_launch_bounds(source: KernelSource) -> None:
    (job,) = jobs([source.choose({"STORED": "float"})], ["80"])[:1]
    codes = kernel_codes(compile_kernels(job.source, "80").cubin)
    assert {name: code.largest_block for name, code in codes.items()} == {"narrow": 96, "wide": None}


def test_results_are_kept_until_something_changes(
    source: KernelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def counted(variant: KernelSource, architecture: str) -> CompiledKernels:
        compiled.append(variant.name)
        return compile_kernels(variant, architecture)

    monkeypatch.setattr(report_module, "compile_kernels", counted)
    files = CacheFiles(tmp_path / "kept")
    first = report(jobs([source], ["80"]), files=files)
    assert compiled == ["example.cu<float>", "example.cu<bfloat16>"]
    assert report(jobs([source], ["80"]), files=files) == first
    assert len(compiled) == 2
    source.path.write_text(TEXT.replace("(96)", "(64)"))
    report(jobs([KernelSource(source.path)], ["80"]), files=files)
    assert len(compiled) == 4
    for file in (tmp_path / "kept").iterdir():
        file.write_text('[{"kernel": 1}]')
    assert report(jobs([KernelSource(source.path)], ["80"]), files=files) == report(
        jobs([KernelSource(source.path)], ["80"])
    )


def test_several_processes_report_the_same(source: KernelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    # New processes look for modules where this one does, and must find the installed package, as conftest.py does.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(ROOT))])
    wanted = jobs([source], ["75", "80", "120"])
    assert report(wanted, processes=2) == report(wanted)


def test_a_source_that_does_not_compile_is_named(tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    path = tmp_path / "broken.cu"
    path.write_text('// Architectures: sm_75 and later\nextern "C" __global__ void broken(float* y) { nothing; }\n')
    with pytest.raises(DeviceError, match=r"broken\.cu does not compile for sm_80"):
        report(jobs([KernelSource(path)], ["80"]))


def test_dynamic_shared_memory_of_tiles() -> None:
    """Three stages of both operands, 64 bytes of depth in each: kernels/tensor_core_tile.cuh."""
    source = packaged_source("convolution2d_forward_tensor.cu")
    sizes = {
        dict(variant.chosen)["TILE"]: dynamic_shared_bytes(variant)
        for variant in source.variants()
        if ("STORED", "float16") in variant.chosen
    }
    assert sizes["aligned_128x128"] == 3 * (128 * 64 + 128 * 64)
    assert sizes["aligned_64x64"] == 3 * (64 * 64 + 64 * 64)
    assert dynamic_shared_bytes(packaged_source("advance.cu")) == 0


ONE = KernelReport("sum<float>", "sum.cu", "80", 40, 0, 1024, 0.5, 8, 4)


def test_budgets_are_written_and_read() -> None:
    reports = [ONE, replace(ONE, architecture="86"), replace(ONE, architecture="90", registers=48)]
    reports.append(replace(ONE, kernel="sum<bfloat16>"))
    budget = budget_of(reports)
    text = format_budget(budget)
    assert text == (
        '{\n"sum.cu sum<bfloat16>": {"80": [40, 1024, 8, 4]},\n'
        '"sum.cu sum<float>": {"80 86": [40, 1024, 8, 4], "90": [48, 1024, 8, 4]}\n}\n'
    )
    assert parse_budget(text) == budget
    for broken in ("", "[]", '{"a": 3}', '{"a": {"80": [1, 2]}}'):
        with pytest.raises(UsageError, match="no budget of kernels"):
            parse_budget(broken)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"registers": 39, "shared_bytes": 0, "tensor_core_instructions": 1, "wide_loads": 1}, None),
        ({"registers": 41}, "41 registers; 40 are budgeted"),
        ({"shared_bytes": 1025}, "1025 bytes of shared memory; 1024 are budgeted"),
        ({"tensor_core_instructions": 0}, "no tensor-core instructions any more"),
        ({"wide_loads": 0}, "no loads of 16 bytes any more"),
        ({"architecture": "90"}, "sum.cu sum<float> on sm_90 is not in the budget"),
    ],
)
def test_what_became_worse_is_said(change: dict[str, object], words: str | None) -> None:
    found = list(overruns(budget_of([ONE]), budget_of([replace(ONE, **change)])))
    assert len(found) == (words is not None)
    assert words is None or words in found[0]
