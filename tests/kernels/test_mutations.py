"""Kernels with one barrier taken out: the check build must notice each, or the barrier is not needed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gpunn.arena import Part, place
from gpunn.backend.attributes import LINEAR, SgdRule
from gpunn.backend.cuda import convolution, optimizer
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launch import NO_CHOICES, Grid, Launcher
from gpunn.backend.cuda.self_test import primitive_failures
from gpunn.backend.cuda.source import Choices, KernelSource, packaged_sources
from gpunn.errors import DeviceError
from gpunn.geometry import Conv2dGeometry
from tests.backend.arrays import integers, unwritten, upload, workspace
from tests.backend.emulator.devices import CHECK, emulator

BARRIER = re.compile(r"__sync(?:threads|warp)\(\);")
BARRIERS = [
    (source.path.name, number) for source in packaged_sources() for number in range(len(BARRIER.findall(source.text)))
]


class MutatedLauncher(Launcher):
    """Launches a source of its own instead of the packaged one."""

    def __init__(self, device: CudaDevice, source: KernelSource) -> None:
        self._device_launcher = device.launcher
        self._source = source

    def launch(
        self, file: str, kernel: str, grid: Grid, arguments: dict[str, object], choices: Choices = NO_CHOICES
    ) -> None:
        assert file == self._source.path.name
        self._device_launcher.launch_from(self._source, kernel, grid, arguments, choices)


def convolve(device: CudaDevice) -> None:
    geometry = Conv2dGeometry(1, 6, 6, 8, 4, 3, 3)
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    y = unwritten(device, geometry.output_shape, np.float32)
    convolution.convolution2d_forward(
        device, y, upload(device, x), upload(device, w), None, geometry, LINEAR, workspace(device, 0)
    )


def update(device: CudaDevice) -> None:
    table = place([Part("weight", (200,))])
    w, gradients = (upload(device, np.ones(table.size, np.float32)) for _ in range(2))
    one = upload(device, np.ones(1, np.float64))
    step, apply = upload(device, np.zeros(1, np.int64)), upload(device, np.ones(1, np.int32))
    optimizer.sgd(device, w, None, gradients, one, one, step, apply, table, SgdRule())


CALLS = {"convolution2d_forward.cu": convolve, "primitives_test.cu": primitive_failures, "sgd.cu": update}


def without_barrier(source: KernelSource, number: int, folder: Path) -> KernelSource:
    """A copy of the source with one barrier replaced by nothing."""
    barriers = list(BARRIER.finditer(source.text))
    start, stop = barriers[number].span()
    mutated = folder / source.path.name
    mutated.write_text(source.text[:start] + ";" + source.text[stop:])
    return KernelSource(mutated)


@pytest.mark.parametrize(("file", "number"), BARRIERS)
def test_missing_barrier_is_noticed(file: str, number: int, tmp_path: Path) -> None:
    (source,) = (source for source in packaged_sources() if source.path.name == file)
    with emulator(CHECK) as device:
        CALLS[file](device)
        device.launcher = MutatedLauncher(device, without_barrier(source, number, tmp_path))
        with pytest.raises(DeviceError, match=rf"{re.escape(file)}:\d+: (race in|read of) shared memory"):
            CALLS[file](device)


def test_there_are_barriers_to_take_out() -> None:
    assert {file for file, _ in BARRIERS} == set(CALLS)
    assert len(BARRIERS) >= 3
