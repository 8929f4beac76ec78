"""--device, --check and --precision, from the command line to the device."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpunn import backend
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.contract import Device
from gpunn.backend.cuda import opening
from gpunn.backend.cuda.gpu.installation import Installation
from gpunn.backend.cuda.launching.source import kernel_folder
from gpunn.backend.cuda.opening import open_cuda
from gpunn.training.devices import open_device
from gpunn.training.run_folder import RunFolder
from tests.backend.cuda.fake_cupy import CUDARuntimeError, Machine, fake_cupy
from tests.cli.conftest import Gpunn


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def installed(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installation:
    """From now on gpunn finds this installation."""
    installation = Installation(
        packages=lambda: ["cupy-cuda13x"],
        load=lambda: fake_cupy(machine),
        compiler=lambda: (13, 0),
        architectures=lambda: [75, 80, 90],
    )
    use(installation, monkeypatch)
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))
    return installation


def use(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_cuda", lambda number: open_cuda(number, installation))


def train(gpunn: Gpunn, data: Path, out: Path, *options: str) -> Any:
    return gpunn("train", "--data", data, "--model", "mlp", "--epochs", 1, "--out", out, *options)


def test_two_cupy_packages_end_the_run(
    gpunn: Gpunn, data: Path, tmp_path: Path, installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(replace(installed, packages=lambda: ["cupy-cuda12x", "cupy-cuda13x"]), monkeypatch)
    result = train(gpunn, data, tmp_path / "run", "--device", "cuda")
    assert (result.status, result.error.count("\n")) == (4, 1)
    assert "pip uninstall cupy-cuda12x cupy-cuda13x" in result.error
    assert not (tmp_path / "run").exists()


def test_a_lost_gpu_ends_the_run(
    gpunn: Gpunn, data: Path, tmp_path: Path, installed: Installation, machine: Machine
) -> None:
    machine.failing["malloc"] = CUDARuntimeError(999, "cudaErrorUnknown: unknown error")
    result = train(gpunn, data, tmp_path / "run", "--device", "cuda")
    assert (result.status, result.error.count("\n")) == (4, 1)
    assert "cuda:0 was lost" in result.error
    assert "--resume" in result.error


def test_a_gpu_without_memory_names_the_batch(
    gpunn: Gpunn, data: Path, tmp_path: Path, installed: Installation, machine: Machine
) -> None:
    machine.memory = 2**23 + 800_000
    result = train(gpunn, data, tmp_path / "run", "--device", "cuda", "--batch-size", "50")
    assert (result.status, result.error.count("\n")) == (5, 1)
    assert re.search(r"cuda:0 (has|cannot give) ", result.error)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_gpu_without_tensor_cores_refuses_their_precisions(
    gpunn: Gpunn, data: Path, tmp_path: Path, installed: Installation, machine: Machine, precision: str
) -> None:
    machine.capability = "75"
    result = train(gpunn, data, tmp_path / "run", "--device", "cuda", "--precision", precision)
    assert result.status == 4
    assert f"precision {precision} is not computed on cuda:0; use --precision float32 or float16" in result.error
    assert "compute capability 8.0" in result.error


@pytest.mark.usefixtures("installed")
def test_auto_takes_a_gpu_that_works() -> None:
    device, line = open_device("auto")
    assert (device.name, line) == ("cuda:0", "device: cuda:0 (auto)")
    device.close()


def test_auto_says_why_it_takes_the_cpu(installed: Installation, machine: Machine) -> None:
    machine.driver = 0
    device, line = open_device("auto", 1)
    assert device.name == "cpu"
    assert line == "device: cpu (auto: device 'cuda:0': no NVIDIA driver is installed)"
    device.close()


def test_auto_leaves_a_gpu_whose_memory_others_hold(installed: Installation, machine: Machine) -> None:
    machine.memory = 2**20
    device, line = open_device("auto", 1)
    assert device.name == "cpu"
    assert line.startswith("device: cpu (auto: cuda:0 cannot give 8.0 MiB: 1.0 MiB of 1.0 MiB are free")
    device.close()


@pytest.mark.usefixtures("no_curves")
def test_check_trains_measures_and_predicts_on_the_check_build(
    gpunn: Gpunn, data: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that reach the door of the backend."""
    opened: list[str] = []
    original = backend.open

    def open_cpu_instead(name: str, threads: int | None = None, algorithm: ConvolutionAlgorithm = "auto") -> Device:
        opened.append(name)
        return original("cpu", threads)

    monkeypatch.setattr(backend, "open", open_cpu_instead)
    assert train(gpunn, data, tmp_path / "run", "--device", "emulator", "--check").status == 0
    assert RunFolder(tmp_path / "run").read_configuration()["device"] == "emulator:check"
    assert gpunn("evaluate", trained, "--device", "emulator", "--check").status == 0
    assert gpunn("evaluate", trained, "--device", "emulator").status == 0
    assert opened == ["emulator:check", "emulator:check", "emulator"]


def test_what_was_trained_in_another_precision_is_measured_in_float32(
    gpunn: Gpunn, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint from a GPU is looked at anywhere, and the note says what is different."""
    assert train(gpunn, data, tmp_path / "run", "--device", "cpu", "--precision", "float64").status == 0
    expected = gpunn("evaluate", tmp_path / "run", "--device", "cpu")
    monkeypatch.setattr("gpunn.backend.cpu.device.CpuDevice.precisions", ("float32",))
    found = gpunn("evaluate", tmp_path / "run", "--device", "cpu")
    assert found.status == 0
    assert found.error == "note: trained in float64, which cpu does not compute: this is float32\n"
    assert found.out == expected.out
    assert train(gpunn, data, tmp_path / "other", "--device", "cpu", "--precision", "float64").status == 4


def test_a_race_ends_training_with_its_file_and_line(
    gpunn: Gpunn, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the kernels in which a convolution no longer waits for what the other threads store."""
    folder = tmp_path / "kernels"
    shutil.copytree(kernel_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "convolution2d_forward.cu"
    file.write_text(file.read_text().replace("__syncthreads();", ";"))
    monkeypatch.setattr("gpunn.backend.cuda.launching.source.kernel_folder", lambda: folder)
    options = ("--data", data, "--model", "mlp", "--epochs", 1, "--out", tmp_path / "run")
    result = gpunn("train", *options, "--device", "emulator", "--check")
    assert result.status == 4
    assert re.search(
        r"race in shared memory.* at convolution2d_forward\.cu:\d+|convolution2d_forward\.cu:\d+: race in", result.error
    )
