"""The tool that takes barriers out: it finds each, sees those that are needed, and those that are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from gpunn.backend import cuda
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.launcher import EmulatorExecutor
from gpunn.backend.emulator.memory import HostMemory
from tests.backend.emulator.devices import CHECK
from tests.backend.emulator.mutations import LaunchKeeper, Mutation, finding, mutations, with_own_arrays

HEADER = """
#pragma once
#include "primitives.cuh"
__device__ __forceinline__ float exchanged(float value) {
  __shared__ float values[64];
  values[threadIdx.x] = value;
  __syncthreads();
  return values[threadIdx.x ^ 32];
}
"""
KERNEL = """
#include "exchange.cuh"
extern "C" __global__ void exchange(OUTPUT float* y, int y_pitch, const float* x, int times) {
  float value = x[threadIdx.x];
  __syncwarp();
  for (int i = 0; i < times; ++i) {
    value = exchanged(value);
    __syncthreads();
  }
  y[threadIdx.x * y_pitch] = value;
}
"""


@pytest.fixture
def keeper() -> Iterator[LaunchKeeper]:
    keeper = LaunchKeeper(EmulatorExecutor(CHECK), most=2)
    yield keeper
    keeper.close()


@pytest.fixture
def source(tmp_path: Path) -> KernelSource:
    (tmp_path / "exchange.cuh").write_text(HEADER)
    (tmp_path / "exchange.cu").write_text(KERNEL)
    return KernelSource(tmp_path / "exchange.cu")


def exchange(
    keeper: LaunchKeeper, source: KernelSource, times: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    device = CudaDevice("emulator", HostMemory(), keeper, cast("Primitives", cuda))
    x, wide = np.arange(64, dtype=np.float32), np.full((64, 3), -1, np.float32)
    arguments = {"y": wide[:, 1:2], "y_pitch": 3, "x": x, "times": times}
    device.launcher.launch_from(source, "exchange", Grid((1, 1, 1), (64, 1, 1)), arguments)
    return wide


def test_statements_of_source_and_headers_are_found(source: KernelSource) -> None:
    found = [(mutation.file, mutation.line, mutation.text) for mutation in mutations([source, source])]
    assert found == [
        ("exchange.cu", 5, "__syncwarp();"),
        ("exchange.cu", 8, "__syncthreads();"),
        ("exchange.cuh", 7, "__syncthreads();"),
    ]
    assert str(mutations([source])[2]) == "exchange.cuh:7 without __syncthreads();"


def test_needed_barriers_are_missed_and_others_are_not(
    keeper: LaunchKeeper, source: KernelSource, tmp_path: Path
) -> None:
    exchange(keeper, source, 2)
    found = {}
    for mutation in mutations([source]):
        folder = tmp_path / f"{mutation.file}-{mutation.line}"
        folder.mkdir()
        found[str(mutation)] = finding(mutation, keeper.kept, EmulatorExecutor(CHECK), folder)
    assert found["exchange.cu:5 without __syncwarp();"] is None
    for name in ("exchange.cu:8 without __syncthreads();", "exchange.cuh:7 without __syncthreads();"):
        assert "race in shared memory" in (found[name] or "")


def test_launches_of_other_files_are_left_out(keeper: LaunchKeeper, source: KernelSource, tmp_path: Path) -> None:
    exchange(keeper, source, 2)
    elsewhere = Mutation("elsewhere.cu", 1, "__syncthreads();", 0)
    assert finding(elsewhere, keeper.kept, EmulatorExecutor(CHECK), tmp_path) is None


def test_launches_that_differ_are_kept_up_to_a_number(keeper: LaunchKeeper, source: KernelSource) -> None:
    for times in (1, 1, 2, 3):
        wide = exchange(keeper, source, times)
        assert wide[0, 1] == (32 if times % 2 else 0)
    assert [int(launch.arguments[3].value) for launch in keeper.kept] == [1, 2]


def test_kept_arrays_are_copies_of_the_same_layout(keeper: LaunchKeeper, source: KernelSource) -> None:
    wide = exchange(keeper, source, 1)
    y, x = (keeper.kept[0].arguments[i].value for i in (0, 2))
    assert not np.shares_memory(y, wide)
    assert y.strides == wide[:, 1:2].strides
    assert y.ctypes.data % 256 == wide[:, 1:2].ctypes.data % 256
    assert (y == -1).all()
    np.testing.assert_array_equal(x, np.arange(64))


def test_an_array_that_is_passed_twice_stays_one(keeper: LaunchKeeper, source: KernelSource) -> None:
    exchange(keeper, source, 1)
    launch = keeper.kept[0]
    twice = (launch.arguments[2], launch.arguments[2])
    first, second = with_own_arrays(type(launch)(launch.source, launch.signature, launch.grid, twice)).arguments
    assert first.value is second.value
