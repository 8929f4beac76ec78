"""Probes in processes of their own: a made libcuda, made packages, damaged kernels, and this machine's tools."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.backend.cuda.compiling.compile import CompiledKernels, compiler_version
from gpunn.backend.cuda.compiling.compile_cache import CompileCache, Compiler
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.source import KernelSource, packaged_source
from gpunn.backend.emulator import open_emulator
from gpunn.cache import CacheFiles
from gpunn.diagnosis.probes.driver import answer as driver_answer
from gpunn.diagnosis.probes.gpu import answer as gpu_answer
from gpunn.diagnosis.running import ProbeError, ask, parse_answer, run

LIBCUDA = """
#include <stdlib.h>
#include <string.h>
int cuDriverGetVersion(int* v) { *v = 12040; return 0; }
int cuInit(unsigned flags) { if (getenv("CRASH")) abort(); return atoi(getenv("STATUS")); }
int cuDeviceGetCount(int* n) { *n = 2; return 0; }
int cuDeviceGet(int* d, int i) { *d = 10 + i; return 0; }
int cuDeviceGetName(char* s, int n, int d) { strncpy(s, d == 10 ? "First" : "Second", n); return 0; }
int cuDeviceGetAttribute(int* v, int a, int d) { *v = a == 75 ? d - 2 : a == 76 ? 6 : -1; return 0; }
int cuDeviceGetPCIBusId(char* s, int n, int d) { strncpy(s, "0000:01:00.0", n); return 0; }
int cuDeviceTotalMem_v2(size_t* m, int d) { *m = 6000000000u * (size_t)(d - 9); return 0; }
"""


@pytest.fixture(scope="module")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libcuda")
    (folder / "libcuda.c").write_text(LIBCUDA)
    subprocess.run(["g++", "-x", "c", "-shared", "-fPIC", "libcuda.c", "-o", "libcuda.so.1"], cwd=folder, check=True)
    return folder / "libcuda.so.1"


def test_a_driver_with_two_gpus(libcuda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS", "0")
    found = ask("driver", str(libcuda))
    first = {"name": "First", "capability": 86, "memory": 6_000_000_000, "address": "0000:01:00.0"}
    second = {"name": "Second", "capability": 96, "memory": 12_000_000_000, "address": "0000:01:00.0"}
    assert found == {"status": 0, "version": 12040, "gpus": [first, second]}


def test_a_driver_that_does_not_start(libcuda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS", "803")
    assert ask("driver", str(libcuda)) == {"status": 803, "version": 12040, "gpus": []}


def test_a_driver_that_crashes(libcuda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRASH", "1")
    with pytest.raises(ProbeError, match="killed by SIGABRT"):
        ask("driver", str(libcuda))


def test_no_driver(tmp_path: Path) -> None:
    assert "cannot open shared object file" in driver_answer(str(tmp_path / "libcuda.so.1"))["missing"]


def test_a_probe_that_hangs() -> None:
    with pytest.raises(ProbeError, match="no answer within 0 s"):
        ask("blas", seconds=0.01)


@pytest.mark.parametrize(
    ("status", "output", "error", "words"),
    [
        (-11, b"", b"", "killed by SIGSEGV"),
        (-200, b"", b"", "killed by signal 200"),
        (0, b'{"raised": "TypeError: x"}', b"", "TypeError: x"),
        (1, b"", b"Traceback\nNameError: y\n\n", "NameError: y"),
        (3, b"", b"", "it ended with status 3"),
    ],
)
def test_answers_that_are_none(status: int, output: bytes, error: bytes, words: str) -> None:
    with pytest.raises(ProbeError, match=words):
        parse_answer(status, output, error)


def test_libraries_say_why_they_do_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "halves.py").write_text("print('noise')\nraise ImportError('=====\\nhalf a library\\n=====')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask("libraries", "json", "halves") == {"failed": {"halves": "ImportError: half a library"}}


def test_the_folder_of_the_command_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('of the current folder')\n")
    monkeypatch.chdir(tmp_path)
    assert ask("libraries", "numpy") == {"failed": {}}


def install(folder: Path, name: str, files: dict[str, str]) -> None:
    """A package as pip leaves it."""
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    metadata = folder / f"{name.replace('-', '_')}-14.2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 14.2.0\n")
    (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in files))


CUPY = {
    "cupy/__init__.py": "from cupy import cuda\n__version__ = '14.2.0'\n",
    "cupy/cuda.py": "class runtime:\n    runtimeGetVersion = staticmethod(lambda: 13020)\n",
    "cupy/__pycache__/cuda.cpython-311.pyc": "",
}


def test_cupy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask("cupy_packages") == {"packages": [], "missing": []}
    install(tmp_path, "cupy-cuda13x", CUPY)
    assert ask("cupy_packages") == {"packages": ["cupy-cuda13x"], "missing": []}
    assert ask("cupy") == {"version": "14.2.0", "runtime": 13020}
    for file in ("cuda.py", "__pycache__/cuda.cpython-311.pyc"):
        (tmp_path / "cupy" / file).unlink()
    assert ask("cupy_packages") == {"packages": ["cupy-cuda13x"], "missing": ["cupy/cuda.py"]}
    with pytest.raises(ProbeError, match="ImportError: cannot import name 'cuda'"):
        ask("cupy")
    install(tmp_path, "cupy-cuda12x", CUPY)
    assert ask("cupy_packages") == {"packages": ["cupy-cuda12x", "cupy-cuda13x"], "missing": []}


def test_the_compiler_compiles_for_the_gpus_that_are_named() -> None:
    found = ask("compiler", "86", "61")
    assert found["architecture"] == "86"
    assert found["architectures"]["86"] == {"name": "86"}
    assert "compute capability 6.1" in found["architectures"]["61"]["refused"]
    assert found["bytes"] > 1000
    assert ask("compiler")["architecture"] == "80"


def test_damaged_kernels_are_known_by_their_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path))
    assert ask("kept_kernels") == {"files": 0, "damaged": []}
    version = "NVRTC {}.{}".format(*compiler_version())

    def compiled(source: KernelSource, architecture: str) -> CompiledKernels:
        return CompiledKernels(architecture, b"machine code " * 100, "", {})

    kept = CompileCache(CacheFiles(tmp_path / "cubins"), Compiler(version, compiled))
    variants = list(packaged_source("fill.cu").variants())
    for variant in variants:
        kept.cubin(variant, "90")
    CompileCache(CacheFiles(tmp_path / "cubins"), Compiler("NVRTC 1.0", compiled)).cubin(variants[0], "90")
    assert ask("kept_kernels") == {"files": len(variants), "damaged": []}
    before = {path: path.read_bytes() for path in (tmp_path / "cubins").iterdir()}
    victim = next(path for path in before if path.name in _names_of(tmp_path, variants, version))
    content = bytearray(before[victim])
    content[700] ^= 1
    victim.write_bytes(content)
    assert ask("kept_kernels") == {"files": len(variants), "damaged": [victim.name]}
    assert victim.read_bytes() == bytes(content)


def _names_of(folder: Path, variants: list[KernelSource], version: str) -> set[str]:
    """The files that the cache reads for these variants."""
    read: set[str] = set()

    class Watched(CacheFiles):
        def read(self, name: str) -> bytes | None:
            read.add(name)
            return super().read(name)

    def refuse(source: KernelSource, architecture: str) -> Any:
        raise AssertionError

    cache = CompileCache(Watched(folder / "cubins"), Compiler(version, refuse))
    for variant in variants:
        cache.cubin(variant, "90")
    return read


@pytest.fixture(scope="module")
def emulator() -> Device:
    return open_emulator(check=False)


def test_kernels_at_work(emulator: CudaDevice) -> None:
    found = gpu_answer("0", lambda number: emulator)
    assert found["failures"] == []


def test_a_gpu_that_adds_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    device = open_emulator(check=False)
    assert isinstance(device, CudaDevice)
    download = device.download
    monkeypatch.setattr(device, "download", lambda array: download(array) + np.ones(1, np.float32))
    monkeypatch.setattr("gpunn.diagnosis.probes.gpu.primitive_failures", lambda device: ["multiply"])
    assert gpu_answer("0", lambda number: device)["failures"][0] == "add: 1000 of 1000 elements are wrong"


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ProbeError, match=r"CuPy, which runs kernels on a GPU, is not installed$"):
        ask("gpu", "0")


def test_products_decoders_and_the_emulator_s_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("blas")["numpy"] == np.__version__
    assert ask("blas")["flops"] > 0
    assert ask("decoders")["lacking"] == []
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path))
    assert set(ask("emulator")) == {"version"}
    assert list((tmp_path / "emulator").iterdir()) == []


def test_a_compiler_without_its_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "#!/bin/sh\n[ $1 = -dumpfullversion ] && echo 99.0 && exit\necho 'x: fatal error: cmath' >&2\nexit 1\n"
    (tmp_path / "g++").write_text(script)
    (tmp_path / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))
    assert ask("emulator") == {"version": "99.0", "refused": "x: fatal error: cmath"}


def test_programs(tmp_path: Path) -> None:
    ended = run([sys.executable, "-c", "import sys; print(1); print(2, file=sys.stderr); sys.exit(3)"], 60)
    assert ended is not None
    assert replace(ended) == ended
    assert (ended.status, ended.output, ended.error) == (3, "1\n", "2\n")
    assert run([str(tmp_path / "nothing")], 60) is None
    late = run([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    assert late is not None
    assert late.status is None
