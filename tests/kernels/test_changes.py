"""Wrong kernels: the check build finds something, or the numbers are others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.source import kernel_folder
from gpunn.errors import DeviceError
from tests.backend.emulator.devices import CHECK, emulator
from tests.kernels.changes import CHANGES, Change
from tests.kernels.exercises import EXERCISES, Exercise, results_of
from tests.kernels.mutations import InsteadLauncher, mutated_source

#: Files that nothing here changes.
UNCHANGED = {
    "geometry.cuh": "it holds sizes, and computes nothing",
    "primitives_tensor.cuh": "tests/kernels/test_primitives.py changes the file that tests it",
    "primitives_test.cu": "the same",
}

Bits = Callable[[Exercise], list[bytes]]


def bits_of(device: CudaDevice, exercise: Exercise) -> list[bytes]:
    return [array.tobytes() for array in results_of(device, exercise)]


@pytest.fixture(scope="session")
def right(fast: CudaDevice) -> Bits:
    """What the unchanged kernels compute, once."""
    return cache(lambda exercise: bits_of(fast, exercise))


def is_noticed(device: CudaDevice, exercise: Exercise, right: Bits) -> bool:
    try:
        return bits_of(device, exercise) != right(exercise)
    except DeviceError as error:
        if "the emulator found" in str(error):
            return True
        raise


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_wrong_kernel_is_noticed(change: Change, right: Bits, tmp_path: Path) -> None:
    source = mutated_source(change, kernel_folder() / change.kernel_file, tmp_path)
    with emulator(CHECK) as device:
        device.launcher = InsteadLauncher(device, source)
        assert any(is_noticed(device, exercise, right) for exercise in EXERCISES[change.kernel_file])


def test_every_file_is_changed_somewhere() -> None:
    files = {path.name for path in (*kernel_folder().glob("*.cu"), *kernel_folder().glob("*.cuh"))}
    assert files == {change.file for change in CHANGES} | set(UNCHANGED)
