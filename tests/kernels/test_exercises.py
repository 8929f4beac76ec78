"""All kernels in every build, order and timing: nothing is found, and the bits are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import cast

import numpy as np
import pytest

from gpunn.backend import cuda
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.backend.cuda.launching.source import packaged_source, packaged_sources
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory
from tests.backend.arrays import Host
from tests.backend.emulator.devices import emulator
from tests.kernels.exercises import EXERCISES, Exercise, every_exercise, results_of

#: Beside those of `every_way`, for kernels with asynchronous copies.
OTHER_TIMINGS = {
    "fast, late": EmulatorSettings(copies="late"),
    "check, late": EmulatorSettings(check=True, copies="late"),
    "check, reverse, late": EmulatorSettings(check=True, schedule="reverse", copies="late"),
    "check, random, early": EmulatorSettings(check=True, schedule="random", seed=11),
}

Expected = Callable[[Exercise], list[Host]]


class NotingExecutor:
    """Runs nothing, and keeps what it was to run.

    Attributes:
        kernels: names.
        choices: (file, name of the choice, word).
    """

    def __init__(self) -> None:
        self.kernels: set[str] = set()
        self.choices: set[tuple[str, str, str]] = set()

    def execute(self, launch: CheckedLaunch) -> None:
        """Keep the names."""
        self.kernels.add(launch.signature.name)
        self.choices |= {(launch.source.path.name, name, word) for name, word in launch.source.chosen}

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def noted() -> NotingExecutor:
    """What all exercises launch."""
    executor = NotingExecutor()
    device = CudaDevice("noting", HostMemory(), executor, cast("Primitives", cuda))
    for exercise in every_exercise():
        results_of(device, exercise)
    return executor


def exercise_name(exercise: Exercise) -> str:
    files = [file for file, exercises in EXERCISES.items() if exercise in exercises]
    return f"{files[0]} {EXERCISES[files[0]].index(exercise) + 1}"


def copying_exercises() -> list[Exercise]:
    """Of the files whose kernels copy asynchronously."""
    headers = {file: packaged_source(file).headers for file in EXERCISES}
    chosen = [EXERCISES[file] for file, included in headers.items() if "primitives_tensor.cuh" in included]
    return [exercise for exercises in chosen for exercise in exercises]


@pytest.fixture(scope="session", params=OTHER_TIMINGS.values(), ids=OTHER_TIMINGS.keys())
def other_timing(request: pytest.FixtureRequest) -> Iterator[CudaDevice]:
    """Both builds with timings of copies that `every_way` leaves out."""
    with emulator(request.param) as device:
        yield device


@pytest.fixture(scope="session")
def expected(fast: CudaDevice) -> Expected:
    """What the fast build gives, computed once."""
    return cache(lambda exercise: results_of(fast, exercise))


def assert_same_bits(given: list[Host], expected: list[Host]) -> None:
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))


def test_every_kernel_file_has_exercises() -> None:
    assert set(EXERCISES) == {source.path.name for source in packaged_sources()}


def test_every_kernel_is_launched(noted: NotingExecutor) -> None:
    assert noted.kernels == {kernel for source in packaged_sources() for kernel in source.signatures}


def test_every_choice_is_made_that_is_no_number_type(noted: NotingExecutor) -> None:
    wanted = {
        (source.path.name, name, word)
        for source in packaged_sources()
        for name, words in source.choices.items()
        for word in words
        if "float" not in words
    }
    assert wanted <= noted.choices


@pytest.mark.parametrize("exercise", every_exercise(), ids=exercise_name)
def test_nothing_is_found_in_any_order(every_way: CudaDevice, exercise: Exercise, expected: Expected) -> None:
    assert_same_bits(results_of(every_way, exercise), expected(exercise))


@pytest.mark.parametrize("exercise", copying_exercises(), ids=exercise_name)
def test_nothing_is_found_with_any_timing(other_timing: CudaDevice, exercise: Exercise, expected: Expected) -> None:
    assert_same_bits(results_of(other_timing, exercise), expected(exercise))
