"""A GPU that is none: CUDA's Python side on a fake CuPy, whose kernels run in the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpunn.backend.cuda.compiling.compile import CompiledKernels
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.gpu.installation import Installation
from gpunn.backend.cuda.launching.launch import Grid, Launcher
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.cuda.opening import open_cuda
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory
from tests.backend.cuda.fake_cupy import Array, Launched, Machine, fake_cupy


def compiled(source: KernelSource, architecture: str) -> CompiledKernels:
    """What stands for machine code: the name of the kernel file, its choices and the architecture."""
    chosen = ",".join(f"{name}={word}" for name, word in source.chosen)
    return CompiledKernels(architecture, f"{source.path}|{chosen}|{architecture}".encode(), "", {})


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def gpu(machine: Machine) -> Gpu:
    return Gpu(fake_cupy(machine), 0)


@pytest.fixture
def installation(machine: Machine) -> Installation:
    return Installation(
        packages=lambda: ["cupy-cuda13x"],
        load=lambda: fake_cupy(machine),
        compiler=lambda: (13, 0),
        architectures=lambda: [75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121],
        compile=compiled,
    )


@pytest.fixture
def fake_device(
    machine: Machine, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CudaDevice]:
    """open_cuda, whose compiler writes names and whose GPU looks kernels up by them and runs them in the emulator."""
    emulated = EmulatorExecutor(EmulatorSettings())
    launcher = Launcher(HostMemory(), emulated)

    def run(launched: Launched) -> None:
        path, chosen, _ = launched.cubin.decode().split("|")
        choices = dict(word.split("=") for word in chosen.split(",") if word)
        source = KernelSource(Path(path))
        names = [parameter.name for parameter in source.signatures[launched.kernel].parameters]
        values = [value.host if isinstance(value, Array) else value for value in launched.arguments]
        values = [value[()] if getattr(value, "ndim", 1) == 0 else value for value in values]
        grid = Grid(launched.grid, launched.threads, launched.shared)
        launcher.launch_from(source, launched.kernel, grid, dict(zip(names, values, strict=True)), choices)

    machine.kernel = run
    with monkeypatch.context() as environment:
        environment.setenv("GPUNN_CACHE", str(tmp_path / "cache"))
        opened = open_cuda(0, installation)
    yield opened
    opened.close()
    emulated.close()
