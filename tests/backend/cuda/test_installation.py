"""Whatever CUDA lacks is told in words of its own, with what to do about it; the CPU never takes over in silence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gpunn.backend.cuda.gpu.installation import Installation, installed_cupy_packages
from gpunn.backend.cuda.opening import open_cuda
from gpunn.errors import DeviceError
from tests.backend.cuda.fake_cupy import CUDARuntimeError, Machine


def raising(error: Exception) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


def refusal(installation: Installation, number: int = 0) -> str:
    with pytest.raises(DeviceError) as raised:
        open_cuda(number, installation)
    assert raised.value.exit_code == 4
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_cupy_is_not_installed(installation: Installation) -> None:
    text = refusal(replace(installation, packages=list))
    assert "'cuda:0'" in text
    assert "is not installed" in text
    assert 'pip install "gpunn[cuda13]"' in text


def test_two_cupy_packages(installation: Installation) -> None:
    text = refusal(replace(installation, packages=lambda: ["cupy-cuda12x", "cupy-cuda13x"]))
    assert "2 CuPy packages are installed at once (cupy-cuda12x, cupy-cuda13x)" in text
    assert "pip uninstall cupy-cuda12x cupy-cuda13x" in text


@pytest.mark.parametrize(
    "error", [ImportError("=====\nlibcudart.so.13: cannot open\n====="), RuntimeError("libcudart.so.13: cannot open")]
)
def test_cupy_that_does_not_load(installation: Installation, error: Exception) -> None:
    text = refusal(replace(installation, load=raising(error)))
    assert f"cupy-cuda13x does not load ({type(error).__name__}: libcudart.so.13: cannot open)" in text
    assert "pip uninstall cupy-cuda13x" in text


def test_no_driver(installation: Installation, machine: Machine) -> None:
    machine.driver = 0
    machine.failing["getDeviceCount"] = CUDARuntimeError(35)
    assert "no NVIDIA driver is installed" in refusal(installation)


def test_a_driver_older_than_cupy(installation: Installation, machine: Machine) -> None:
    machine.driver, machine.runtime = 12040, 13020
    machine.failing["getDeviceCount"] = CUDARuntimeError(35, "cudaErrorInsufficientDriver: x")
    text = refusal(installation)
    assert "driver is too old: it knows CUDA 12.4, and CuPy is of CUDA 13.2" in text
    assert 'pip install "gpunn[cuda12]"' in text


def test_a_driver_older_than_the_compiler(installation: Installation, machine: Machine) -> None:
    machine.driver = machine.runtime = 12080
    text = refusal(installation)
    assert "it knows CUDA 12.8, and the compiler NVRTC is of CUDA 13.0" in text


@pytest.mark.parametrize("failing", [{}, {"getDeviceCount": CUDARuntimeError(100, "cudaErrorNoDevice: none")}])
def test_no_gpu(installation: Installation, machine: Machine, failing: dict[str, Exception]) -> None:
    machine.gpus = 0
    machine.failing |= failing
    assert "the NVIDIA driver finds no GPU" in refusal(installation)


def test_cuda_that_does_not_start(installation: Installation, machine: Machine) -> None:
    machine.failing["getDeviceCount"] = CUDARuntimeError(803, "cudaErrorSystemDriverMismatch: versions")
    assert "CUDA cannot start (cudaErrorSystemDriverMismatch: versions)" in refusal(installation)


@pytest.mark.parametrize(("gpus", "there"), [(1, "there is cuda:0"), (3, "there is cuda:0 to cuda:2")])
def test_a_number_that_no_gpu_has(installation: Installation, machine: Machine, gpus: int, there: str) -> None:
    machine.gpus = gpus
    text = refusal(installation, gpus)
    assert f"device 'cuda:{gpus}'" in text
    assert text.endswith(there)


def test_a_gpu_that_is_taken(installation: Installation, machine: Machine) -> None:
    machine.failing["streamCreate"] = CUDARuntimeError(46, "cudaErrorDevicesUnavailable: busy")
    assert "cuda:0 was lost while opening it (cudaErrorDevicesUnavailable: busy)" in refusal(installation)


@pytest.mark.parametrize(
    ("capability", "words"),
    [
        ("61", "has compute capability 6.1; the kernels need 7.5 or later"),
        ("70", "has compute capability 7.0; the kernels need 7.5 or later"),
        ("130", "has compute capability 13.0, which NVRTC 13.0 does not compile for"),
    ],
)
def test_gpus_that_nothing_is_compiled_for(
    installation: Installation, machine: Machine, capability: str, words: str
) -> None:
    machine.capability = capability
    assert words in refusal(installation)


def test_packages_are_found_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        def __init__(self, name: str | None) -> None:
            self.metadata = {"Name": name}

    names = ["numpy", "CuPy_cuda12x", "cupy-cuda13x", "cupy", "cupyx-tools", None]
    monkeypatch.setattr("gpunn.backend.cuda.gpu.installation.distributions", lambda: map(Found, names))
    assert installed_cupy_packages() == ["cupy", "cupy-cuda12x", "cupy-cuda13x"]


def test_the_cpu_and_the_emulator_need_neither_cupy_nor_the_compiler() -> None:
    program = (
        "import sys, gpunn\n"
        "from gpunn import backend\n"
        "for name in ('cpu', 'emulator'):\n"
        "    backend.open(name).close()\n"
        "import gpunn.training, gpunn.backend.cuda\n"
        "print(*sorted({'cupy', 'cuda', 'cuda.bindings'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
