"""A device that runs nothing tells the same launches as one that runs them, and takes no memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from gpunn.backend import cuda
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.backend.dry_run.memory import UnbackedMemory
from gpunn.backend.dry_run.opening import open_dry_run
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory
from gpunn.errors import DeviceError, MemoryExhaustedError
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.program.program import Program, plan_program
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification
from tests.networks import Trained, norms, plain

#: File with choices, kernel, grid, block, dynamic shared memory.
Told = tuple[str, str, tuple[int, ...], tuple[int, ...], int]

BATCH = 5
GIB = 2**30


def told(launch: CheckedLaunch) -> Told:
    grid = launch.grid
    return launch.source.name, launch.signature.name, grid.blocks, grid.threads, grid.dynamic_shared_bytes


class ListeningExecutor:
    """Runs kernels in the emulator, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._emulator = EmulatorExecutor(EmulatorSettings())

    def execute(self, launch: CheckedLaunch) -> None:
        self.told.append(told(launch))
        self._emulator.execute(launch)

    def close(self) -> None:
        self._emulator.close()


def run_a_step(trained: Trained, device: CudaDevice, name: str) -> None:
    number_types, optimizer = precision(name), Sgd(momentum=0.9)
    state = NetworkState(trained.network, device, number_types, optimizer)
    plan = plan_program(trained.network, device, Specification(BATCH, "train", number_types, trained.objectives))
    program = Program(plan, state, device.allocate(plan.memory.total))
    update = Update(state, UpdateSpecification(optimizer, clip_norm=1.0))
    for call in (*plan.calls, *update.calls):
        program.binding.step(call)()


@pytest.mark.parametrize("build", [plain, norms])
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_the_launches_are_those_of_the_emulator(build: Callable[[], Trained], name: str) -> None:
    executor = ListeningExecutor()
    emulator = CudaDevice("emulator", HostMemory(), executor, cast("Primitives", cuda))
    dry = open_dry_run("nothing", "80")
    run_a_step(build(), emulator, name)
    run_a_step(build(), dry.device, name)
    emulator.close()
    assert len(executor.told) > 20
    assert [told(launch) for launch in dry.log.take()] == executor.told
    assert dry.log.take() == ()


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_memory_has_addresses_and_no_pages() -> None:
    before = resident_bytes()
    memory = UnbackedMemory()
    pieces = [memory.allocate(100 * GIB), memory.allocate(0), memory.allocate(12)]
    assert memory.allocated_bytes == 100 * GIB + 12
    array = memory.view(pieces[0], 7 * GIB, (GIB, 3), np.dtype(np.float32))
    assert (array.shape, array.nbytes) == ((GIB, 3), 12 * GIB)
    assert memory.address(array) - memory.address(pieces[0]) == 7 * GIB
    assert all(memory.address(piece) % 256 == 0 for piece in pieces[:1])
    memory.upload(array, np.ones(3, np.float32))
    memory.copy(array, array)
    assert resident_bytes() - before < 32 * 2**20


def test_values_can_neither_be_written_nor_downloaded() -> None:
    memory = UnbackedMemory()
    array = memory.view(memory.allocate(64), 0, (16,), np.dtype(np.float32))
    assert memory.is_writable(array)
    assert memory.owns(array)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(DeviceError, match="a dry run has no values"):
        memory.download(array)


def test_more_addresses_than_there_are() -> None:
    with pytest.raises(MemoryExhaustedError, match=r"may not have .* GiB of addresses"):
        UnbackedMemory().allocate(2**62)


def test_an_old_gpu_has_no_tensor_cores() -> None:
    dry = open_dry_run("old", "75")
    assert dry.device.precisions == ("float32", "float16")
    run_a_step(plain(), dry.device, "float16")
    assert not any("tensor" in launch.source.name for launch in dry.log.take())
