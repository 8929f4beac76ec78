"""CUDA's execution model on the CPU: indices, barriers, warps, atomics and shared memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.errors import DeviceError
from tests.backend.emulator.devices import CHECK, EVERY_WAY, emulator

SOURCE = KernelSource(Path(__file__).parent / "execution_model.cu")


@pytest.fixture(scope="module", params=EVERY_WAY.values(), ids=EVERY_WAY.keys())
def device(request: pytest.FixtureRequest) -> Iterator[CudaDevice]:
    with emulator(request.param) as opened:
        yield opened


def run(device: CudaDevice, kernel: str, blocks: int, threads: int, shared: int = 0, **arguments: Any) -> None:
    grid = Grid((blocks, 1, 1), (threads, 1, 1), shared)
    device.launcher.launch_from(SOURCE, kernel, grid, arguments)


def test_every_thread_of_a_three_dimensional_grid_runs_once(device: CudaDevice) -> None:
    grid = Grid((3, 2, 2), (5, 3, 2))
    place = np.full((2, 2, 3, 2, 3, 5, 6), -1, np.int32)
    device.launcher.launch_from(SOURCE, "write_own_place", grid, {"place": place})
    axes = np.indices((2, 2, 3, 2, 3, 5))
    expected = np.stack([axes[2], axes[1], axes[0], axes[5], axes[4], axes[3]], axis=-1)
    np.testing.assert_array_equal(place, expected)


@pytest.mark.parametrize("width", [32, 8])
@pytest.mark.parametrize("distance", [1, 3, 6])
def test_shuffles(device: CudaDevice, distance: int, width: int) -> None:
    up, down, exchanged = (np.zeros(32, np.int32) for _ in range(3))
    first = np.zeros(32)
    arguments = {"up": up, "down": down, "exchanged": exchanged, "first": first}
    run(device, "shuffle", 1, 32, **arguments, distance=distance, width=width)
    for lane in range(32):
        start = lane // width * width
        assert up[lane] == (lane - distance if lane - distance >= start else lane)
        assert down[lane] == (lane + distance if lane + distance < start + width else lane)
        assert exchanged[lane] == lane ^ distance
        assert first[lane] == start + distance + 0.5


@pytest.mark.parametrize("predicate", [np.zeros(64), np.ones(64), np.arange(64) % 3 == 0, np.arange(64) == 40])
def test_votes(device: CudaDevice, predicate: np.ndarray[Any, Any]) -> None:
    predicate = predicate.astype(np.int32)
    ballot = np.zeros(64, np.uint32)
    votes = {name: np.zeros(64, np.int32) for name in ("any", "all", "count")}
    run(device, "vote", 1, 64, predicate=predicate, ballot=ballot, **votes)
    for warp in (slice(0, 32), slice(32, 64)):
        lanes = predicate[warp]
        assert set(ballot[warp]) == {sum(1 << lane for lane in range(32) if lanes[lane])}
        assert set(votes["any"][warp]) == {lanes.any() + 10 * predicate.any()}
        assert set(votes["all"][warp]) == {lanes.all() + 10 * predicate.all()}
    assert set(votes["count"]) == {predicate.sum()}


@pytest.mark.parametrize("threads", [1, 31, 32, 100, 1024])
def test_dynamic_shared_memory_and_barriers(device: CudaDevice, threads: int) -> None:
    x = np.arange(3 * threads, dtype=np.float32)
    y = np.full_like(x, np.nan)
    run(device, "reverse", 3, threads, shared=4 * threads, x=x, y=y, times=3)
    np.testing.assert_array_equal(y.reshape(3, threads), x.reshape(3, threads)[:, ::-1])


def test_atomics_of_all_blocks(device: CudaDevice) -> None:
    threads, largest = np.zeros(1, np.int32), np.full(1, -5, np.int32)
    total, sums = np.zeros(1, np.float32), np.zeros(1, np.uint64)
    slots = np.zeros(9 * 48 // 2, np.uint32)
    arguments = {"threads": threads, "sum": sums, "total": total, "largest": largest, "slots": slots}
    device.launcher.launch_from(SOURCE, "count_threads", Grid((9, 1, 1), (48, 1, 1)), arguments)
    n = 9 * 48
    assert (threads[0], total[0], sums[0], largest[0]) == (n, n / 2, n * (n - 1) // 2, n - 1)
    assert set((slots - 1) // 2 - np.arange(n // 2)) == {0}


def test_reduction_through_warps_and_shared_memory(device: CudaDevice) -> None:
    x = np.arange(4 * 128, dtype=np.float32)
    sums = np.zeros(4, np.float32)
    run(device, "block_sum", 4, 128, x=x, sums=sums)
    np.testing.assert_array_equal(sums, x.reshape(4, 128).sum(axis=1))


def write_a_slice(device: CudaDevice, last_column: int) -> np.ndarray[Any, Any]:
    wide = np.full((5, 10), -1, np.float32)
    run(device, "write_a_slice", 1, 2, y=wide[:, 2:6], y_pitch=10, rows=5, columns=4, last_column=last_column)
    return wide


def test_a_slice_is_written_where_it_lies(device: CudaDevice) -> None:
    expected = np.full((5, 10), -1)
    expected[:, 2:6] = np.arange(5)[:, None]
    np.testing.assert_array_equal(write_a_slice(device, 4), expected)


def test_check_build_knows_the_gaps_of_a_slice() -> None:
    with emulator(CHECK) as device:
        with pytest.raises(DeviceError, match=r"model\.cu:\d+: write out of bounds \(4 bytes between the rows"):
            write_a_slice(device, 5)
        with pytest.raises(DeviceError, match="5 elements of the output 'y' were never written"):
            write_a_slice(device, 3)
