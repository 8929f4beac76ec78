"""Machine code is compiled once for everything it is made from, and damage to what was kept is mended."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gpunn.backend.cuda.compiling.compile import CompiledKernels
from gpunn.backend.cuda.compiling.compile_cache import CompileCache, Compiler
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.cache import CacheFiles, CacheWarning

TEXT = '// TILE: 64 | 128\n#include "header.cuh"\nextern "C" __global__ void fill(float* y) { y[0] = VALUE; }\n'


class Counter:
    """A compiler that counts."""

    def __init__(self) -> None:
        self.calls = 0

    def compile(self, source: KernelSource, architecture: str) -> CompiledKernels:
        self.calls += 1
        return CompiledKernels(architecture, f"{source.text}{source.headers}{architecture}".encode(), "", {})


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "header.cuh").write_text("#define VALUE 1.0f\n")
    path = tmp_path / "fill.cu"
    path.write_text(TEXT)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def cache_of(counter: Counter, folder: Path, version: str = "NVRTC 13.0") -> CompileCache:
    return CompileCache(CacheFiles(folder), Compiler(version, counter.compile))


def source_of(path: Path, tile: str = "64") -> KernelSource:
    return KernelSource(path).choose({"TILE": tile})


def test_another_process_finds_what_was_compiled(counter: Counter, folder: Path, path: Path) -> None:
    first = cache_of(counter, folder).cubin(source_of(path), "90")
    assert cache_of(counter, folder).cubin(source_of(path), "90") == first
    assert counter.calls == 1
    (file,) = folder.iterdir()
    assert file.name.startswith("fill-sm_90-")


def test_everything_that_it_is_made_from_counts(counter: Counter, folder: Path, path: Path) -> None:
    def compile_again(version: str = "NVRTC 13.0", architecture: str = "90", tile: str = "64") -> None:
        cache_of(counter, folder, version).cubin(source_of(path, tile), architecture)

    compile_again()
    for calls, change in enumerate(
        (
            lambda: compile_again(version="NVRTC 13.1"),
            lambda: compile_again(architecture="90a"),
            lambda: compile_again(tile="128"),
            lambda: (path.write_text(TEXT + "\n"), compile_again()),
            lambda: ((path.parent / "header.cuh").write_text("#define VALUE 2.0f\n"), compile_again()),
        ),
        start=2,
    ):
        change()
        assert counter.calls == calls


def test_nothing_else_counts(counter: Counter, folder: Path, path: Path, tmp_path: Path) -> None:
    """Neither the clock nor the folder of the source."""
    cache_of(counter, folder).cubin(source_of(path), "90")
    os.utime(path, (0, 0))
    for file in folder.iterdir():
        os.utime(file, (2**31, 2**31))
    (tmp_path / "elsewhere").mkdir()
    for name in ("fill.cu", "header.cuh"):
        (tmp_path / "elsewhere" / name).write_text((path.parent / name).read_text())
    cache_of(counter, folder).cubin(source_of(tmp_path / "elsewhere" / "fill.cu"), "90")
    assert counter.calls == 1


@pytest.mark.parametrize("position", [0, 31, 32, -1])
def test_a_flipped_byte_is_noticed_and_mended(counter: Counter, folder: Path, path: Path, position: int) -> None:
    right = cache_of(counter, folder).cubin(source_of(path), "90")
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[position] ^= 1
    file.write_bytes(damaged)
    assert cache_of(counter, folder).cubin(source_of(path), "90") == right
    assert counter.calls == 2
    assert file.read_bytes() == whole


@pytest.mark.parametrize("length", [0, 10, 32, 60])
def test_a_file_that_was_cut_off_is_mended(counter: Counter, folder: Path, path: Path, length: int) -> None:
    right = cache_of(counter, folder).cubin(source_of(path), "90")
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:length])
    assert cache_of(counter, folder).cubin(source_of(path), "90") == right
    assert counter.calls == 2


def test_a_whole_file_under_another_name_is_not_taken(counter: Counter, folder: Path, path: Path) -> None:
    cache = cache_of(counter, folder)
    right = cache.cubin(source_of(path), "90")
    (file,) = folder.iterdir()
    cache.cubin(source_of(path), "80")
    (other,) = set(folder.iterdir()) - {file}
    file.write_bytes(other.read_bytes())
    assert cache.cubin(source_of(path), "90") == right


def test_without_a_folder_to_write_it_compiles_every_time(counter: Counter, tmp_path: Path, path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = cache_of(counter, tmp_path / "file")
    with pytest.warns(CacheWarning) as caught:
        assert cache.cubin(source_of(path), "90") == cache.cubin(source_of(path), "90")
    assert counter.calls == 2
    assert len(caught) == 1


def test_the_real_compiler(folder: Path, path: Path) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    from gpunn.backend.cuda.compiling.compile import compile_kernels, compiler_architectures, compiler_version

    major, minor = compiler_version()
    assert major >= 12
    assert minor >= 0
    assert {75, 80, 90} <= set(compiler_architectures())
    compiler = Compiler(f"{major}.{minor}", compile_kernels)
    first = CompileCache(CacheFiles(folder), compiler).cubin(source_of(path), "80")
    assert first.startswith(b"\x7fELF")
    failing = replace(compiler, compile=lambda source, architecture: pytest.fail("compiled again"))
    assert CompileCache(CacheFiles(folder), failing).cubin(source_of(path), "80") == first
