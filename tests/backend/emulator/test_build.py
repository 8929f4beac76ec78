"""Building with g++: the cache, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource, packaged_source
from gpunn.backend.emulator import build
from gpunn.errors import DeviceError
from tests.backend.emulator.devices import FAST, emulator


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "emulator"


def test_without_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"g\+\+, which is not on the PATH;.*apt install g\+\+"):
        build.build_runtime()


@pytest.mark.parametrize(("machine", "system"), [("aarch64", "Linux"), ("x86_64", "Darwin")])
def test_on_other_machines(monkeypatch: pytest.MonkeyPatch, machine: str, system: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("platform.system", lambda: system)
    with pytest.raises(DeviceError, match=f"Linux on x86-64, not on {system} on {machine}"):
        build.compiler()


def test_library_is_built_once_for_each_text_and_kind(own_cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "fill.cu"
    path.write_text('extern "C" __global__ void fill(float* y) { y[threadIdx.x] = 1.0f; }\n')
    first = build.build_kernels(KernelSource(path), check=False).path
    written = first.stat().st_mtime_ns
    assert build.build_kernels(KernelSource(path), check=False).path == first
    assert first.stat().st_mtime_ns == written
    checked = build.build_kernels(KernelSource(path), check=True).path
    path.write_text(path.read_text().replace("1.0f", "2.0f"))
    changed = build.build_kernels(KernelSource(path), check=False).path
    assert len({first, checked, changed}) == 3
    assert {file.suffix for file in own_cache.iterdir()} == {".so"}

    y = np.zeros(4, np.float32)
    with emulator(FAST) as device:
        device.launcher.launch_from(KernelSource(path), "fill", Grid((1, 1, 1), (4, 1, 1)), {"y": y})
    assert y.tolist() == [2, 2, 2, 2]


def test_a_damaged_library_is_named(own_cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "fill.cu"
    path.write_text('extern "C" __global__ void fill(float* y) { y[threadIdx.x] = 3.0f; }\n')
    library = build.build_kernels(KernelSource(path), check=False).path
    y = np.zeros(4, np.float32)
    with emulator(FAST) as device:
        library.write_bytes(b"damaged")
        for error in (DeviceError, None):
            with pytest.raises(error, match=f"cannot load {library} .*; delete it") if error else nullcontext():
                device.launcher.launch_from(KernelSource(path), "fill", Grid((1, 1, 1), (4, 1, 1)), {"y": y})
            library.unlink()
    assert y.tolist() == [3, 3, 3, 3]


def test_source_that_does_not_compile(tmp_path: Path) -> None:
    path = tmp_path / "broken.cu"
    path.write_text('extern "C" __global__ void broken(float* y) { y[0] = undeclared; }\n')
    with pytest.raises(DeviceError, match=r"g\+\+ cannot build broken(.|\n)*undeclared"):
        build.build_kernels(KernelSource(path), check=False)


def test_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(DeviceError, match="set GPUNN_CACHE to a folder"):
        build.build_kernels(packaged_source("relu.cu"), check=False)


FIRST_ONE = """
import sys
import numpy as np
from pathlib import Path
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator import open_emulator

y = np.zeros(4, np.float32)
device = open_emulator(check=False)
for name in ("alone", "together"):
    source = KernelSource(Path(sys.argv[1], f"{name}.cu"))
    device.launcher.launch_from(source, name, Grid((1, 1, 1), (4, 1, 1)), {"y": y})
device.close()
print(y.tolist())
"""


def test_the_first_kernel_of_a_process_may_read_no_index(tmp_path: Path) -> None:
    """Only in a process of its own is it the first."""
    (tmp_path / "alone.cu").write_text('extern "C" __global__ void alone(float* y) { y[0] = 5.0f; }\n')
    together = 'extern "C" __global__ void together(float* y) { y[threadIdx.x] += 1.0f; }\n'
    (tmp_path / "together.cu").write_text(together)
    command = [sys.executable, "-c", FIRST_ONE, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ended.stdout, ended.returncode) == ("[6.0, 1.0, 1.0, 1.0]\n", 0), ended.stderr
