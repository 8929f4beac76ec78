"""What is read from the text of kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpunn.backend.cuda.launching.source import KernelSource, Parameter, packaged_source, packaged_sources
from gpunn.errors import DeviceError

TEXT = """
#include "primitives.cuh"
// extern "C" __global__ void commented_out(int a) {}
extern "C" __global__ void plain() {}
extern "C" __global__ void __launch_bounds__(THREADS)
    full(OUTPUT float* __restrict__ y, OPTIONAL const float *bias, /* in pixels, */ int y_pitch,
         const unsigned char* images, long long* step, double rate) {}
__global__ void not_exported(int a) {}
"""


@pytest.fixture
def source(tmp_path: Path) -> KernelSource:
    path = tmp_path / "example.cu"
    path.write_text(TEXT)
    return KernelSource(path)


def test_kernels_are_found(source: KernelSource) -> None:
    assert list(source.signatures) == ["plain", "full"]
    assert source.signatures["plain"].parameters == ()


def test_parameters(source: KernelSource) -> None:
    def parameter(name: str, kind: str, *, pointer: bool = False, **flags: bool) -> Parameter:
        known = {"is_written": False, "is_output": False, "is_optional": False}
        return Parameter(name, kind, pointer, **(known | flags))

    assert source.signatures["full"].parameters == (
        parameter("y", "float", pointer=True, is_written=True, is_output=True),
        parameter("bias", "float", pointer=True, is_optional=True),
        parameter("y_pitch", "int"),
        parameter("images", "unsigned char", pointer=True),
        parameter("step", "long long", pointer=True, is_written=True),
        parameter("rate", "double"),
    )


def test_headers_come_from_the_package(source: KernelSource) -> None:
    assert "#define OUTPUT" in source.headers["primitives.cuh"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"nothing\.cu cannot be read"):
        _ = KernelSource(tmp_path / "nothing.cu").text


def test_packaged_kernels_are_found_by_name() -> None:
    assert "relu_forward" in packaged_source("relu.cu").signatures
    for source in packaged_sources():
        assert source.signatures, source.path


def test_every_kernel_of_a_file_is_read() -> None:
    for source in packaged_sources():
        assert len(source.signatures) == source.text.count("__global__ void")


def test_inline_assembly_stays_in_the_primitives() -> None:
    for source in packaged_sources():
        assert "asm" not in source.text.replace("assert", "")
