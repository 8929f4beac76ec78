"""Memory traffic of kernels whose addresses one can count by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.backend.emulator.profile import BufferTraffic, Operation, Profile, Space, Traffic
from gpunn.errors import UsageError
from tests.backend.emulator.devices import CHECK, emulator_and_executor, recording_emulator

SOURCE = KernelSource(Path(__file__).parent / "memory_traffic.cu")
WARP = Grid((1, 1, 1), (32, 1, 1))


def aligned(device: CudaDevice, values: np.ndarray[Any, Any]) -> Array:
    memory = device.allocate(values.nbytes)
    array = device.view(memory, 0, values.shape, values.dtype, "plain")
    device.upload(array, values)
    return array


def recorded(kernel: str, outputs: int = 32, dtype: type = np.float32, times: int = 1, **arguments: Any) -> Profile:
    with recording_emulator() as (device, executor):
        x = aligned(device, np.arange(2048, dtype=np.float32))
        y = aligned(device, np.zeros(outputs, dtype))
        for _ in range(times):
            device.launcher.launch_from(SOURCE, kernel, WARP, {"x": x, "y": y, **arguments})
        return executor.profile


def traffic(profile: Profile, name: str, space: Space, operation: Operation | None = None) -> Traffic:
    (line,) = (n for n, text in enumerate(SOURCE.text.splitlines(), 1) if text.endswith(f"// TRAFFIC: {name}"))
    found = [
        traffic
        for access, traffic in profile.at("memory_traffic.cu", space, operation).items()
        if f"memory_traffic.cu:{line}" in access.places
    ]
    return sum(found, Traffic())


@pytest.mark.parametrize(
    ("stride", "first", "sectors"), [(1, 0, 4), (1, 1, 5), (1, 8, 4), (2, 0, 8), (3, 0, 12), (8, 0, 32), (0, 5, 1)]
)
def test_sectors_of_strided_reads(stride: int, first: int, sectors: int) -> None:
    profile = recorded("strided_copy", stride=stride, first=first)
    ideal = 4 if stride else 1
    assert traffic(profile, "global read", "global") == Traffic(1, 32, sectors=sectors, ideal_sectors=ideal)
    assert traffic(profile, "global write", "global") == Traffic(1, 32, sectors=4, ideal_sectors=4)


def test_traffic_of_buffers() -> None:
    profile = recorded("strided_copy", stride=8, first=0, times=3)
    assert profile.buffers == {
        ("strided_copy", "x"): BufferTraffic(bytes_read=3 * 32 * 4, sector_bytes_read=3 * 32 * 32),
        ("strided_copy", "y"): BufferTraffic(bytes_written=3 * 32 * 4, sector_bytes_written=3 * 32 * 4),
    }
    assert traffic(profile, "global read", "global").requests == 3


def test_bytes_that_are_read_again_count_once() -> None:
    of_x = recorded("shared_words", stride=1).buffers["shared_words", "x"]
    assert of_x == BufferTraffic(bytes_read=4, sector_bytes_read=33 * 32)


def test_vectors_move_four_times_as_much_in_one_request() -> None:
    accesses = recorded("vector_copy", outputs=128).lines
    assert {(access.operation, access.bytes) for access in accesses} == {("read", 16), ("write", 16)}
    assert set(accesses.values()) == {Traffic(1, 32, sectors=16, ideal_sectors=16)}


@pytest.mark.parametrize(("stride", "wavefronts"), [(0, 1), (1, 1), (2, 2), (4, 4), (32, 32), (33, 1), (31, 1), (6, 2)])
def test_bank_conflicts_of_words(stride: int, wavefronts: int) -> None:
    found = traffic(recorded("shared_words", stride=stride), "shared words", "shared")
    assert found == Traffic(1, 32, wavefronts=wavefronts, ideal_wavefronts=1)


@pytest.mark.parametrize(("stride", "of_pairs", "of_quadruples"), [(1, 2, 4), (2, 4, 8), (0, 2, 4)])
def test_vectors_are_served_in_halves_and_quarters_of_a_warp(stride: int, of_pairs: int, of_quadruples: int) -> None:
    profile = recorded("shared_vectors", stride=stride)
    pairs, quadruples = (traffic(profile, f"shared {name}", "shared") for name in ("pairs", "quadruples"))
    assert (pairs.wavefronts, pairs.ideal_wavefronts) == (of_pairs, 2)
    assert (quadruples.wavefronts, quadruples.ideal_wavefronts) == (of_quadruples, 4)


@pytest.mark.parametrize(("swizzle", "wavefronts"), [(1, 4), (0, 32)])
def test_swizzle_frees_matrix_loads_of_conflicts(swizzle: int, wavefronts: int) -> None:
    profile = recorded("matrix_rows", dtype=np.uint32, swizzle=swizzle)
    assert traffic(profile, "matrices", "shared") == Traffic(1, 32, wavefronts=wavefronts, ideal_wavefronts=4)


def test_asynchronous_copies_read_global_and_write_shared_memory() -> None:
    profile = recorded("matrix_rows", dtype=np.uint32, swizzle=0)
    assert traffic(profile, "copied", "global", "read") == Traffic(16, 16 * 8, sectors=16 * 4, ideal_sectors=16 * 4)
    assert traffic(profile, "copied", "shared", "write") == Traffic(16, 16 * 8, wavefronts=16, ideal_wavefronts=16)


def test_lanes_that_go_around_a_loop_together_make_a_request() -> None:
    found = traffic(recorded("divergent_loop"), "loop", "global")
    assert found == Traffic(2, 32 + 16, sectors=4 + 2, ideal_sectors=4 + 2)


def test_calls_of_a_function_are_told_apart() -> None:
    profile = recorded("calls_a_function")
    calls = [traffic(profile, f"{number} call", "global").sectors for number in ("first", "second")]
    assert calls == [4, 32]
    assert traffic(profile, "in a function", "global").sectors == 4 + 32


def test_table_says_where_what_and_how_far_from_the_ideal() -> None:
    rows = [row.split() for row in recorded("strided_copy", stride=2, first=0).table().splitlines()]
    assert ["1", "8.00", "4.00", "global", "read", "4", "strided_copy", "memory_traffic.cu:7"] in rows
    assert ["1", "4.00", "4.00", "global", "write", "4", "strided_copy", "memory_traffic.cu:8"] in rows


def test_nothing_is_recorded_unless_asked_for() -> None:
    with emulator_and_executor(CHECK) as (device, executor):
        x, y = (aligned(device, np.zeros(32, np.float32)) for _ in range(2))
        arguments = {"x": x, "y": y, "stride": 1, "first": 0}
        device.launcher.launch_from(SOURCE, "strided_copy", WARP, arguments)
        assert executor.profile == Profile({}, {})


def test_addresses_are_seen_by_the_check_build_only() -> None:
    with pytest.raises(UsageError, match="check=True"):
        EmulatorSettings(record=True)
