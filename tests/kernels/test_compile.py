"""Every kernel through the real compiler, for every architecture, without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpunn.backend.cuda.compile import KernelResources, compile_kernels, parse_resources
from gpunn.backend.cuda.source import KernelSource, packaged_sources
from gpunn.errors import DeviceError

VARIANTS = [
    (variant, architecture)
    for source in packaged_sources()
    for variant in source.variants()
    for architecture in variant.architectures
]
#: A multiprocessor has 65,536 registers: at 80 a thread, three blocks of 256 threads still fit.
LARGEST_REGISTERS = 80
#: Static shared memory that every architecture grants without asking.
LARGEST_SHARED = 48 * 1024


@pytest.fixture(autouse=True)
def _nvrtc() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")


@pytest.mark.parametrize(
    ("source", "architecture"), VARIANTS, ids=[f"{source.name}-{architecture}" for source, architecture in VARIANTS]
)
def test_kernels_compile_and_fit(source: KernelSource, architecture: str) -> None:
    compiled = compile_kernels(source, architecture)
    assert compiled.cubin.startswith(b"\x7fELF")
    assert set(compiled.resources) == set(source.signatures)
    for kernel, needs in compiled.resources.items():
        assert (needs.spill_stores, needs.spill_loads) == (0, 0), f"{kernel} spills: {needs}"
        assert needs.registers <= LARGEST_REGISTERS, f"{kernel}: {needs}"
        assert needs.static_shared <= LARGEST_SHARED, f"{kernel}: {needs}"


def test_convolution_uses_the_shared_memory_that_its_comment_says() -> None:
    (source,) = (source for source in packaged_sources() if source.path.name == "convolution2d_forward.cu")
    needs = compile_kernels(source, "80").resources["convolution2d_forward"]
    assert needs.static_shared == 8448
    assert "8448 bytes" in source.text


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
