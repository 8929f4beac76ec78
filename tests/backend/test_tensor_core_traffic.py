"""Memory traffic of the tensor-core convolutions, from recorded addresses."""

from __future__ import annotations

import pytest

from gpunn.backend.emulator.profile import Profile
from gpunn.geometry import Conv2dGeometry
from tests.backend.arrays import BFLOAT16, upload
from tests.backend.emulator.devices import recording_emulator
from tests.backend.tensor_cores import Runner, integer_arrays


@pytest.fixture(scope="module")
def profile() -> Profile:
    """All three passes of full tiles: 256 pixels, 64 channels, 128 filters."""
    geometry = Conv2dGeometry(1, 16, 16, 64, 128, 1, 1)
    with recording_emulator() as (device, executor):
        runner = Runner(device, "bfloat16", "aligned_128x64")
        x, w, gy = integer_arrays(geometry, BFLOAT16)
        held_x, held_gy = upload(device, x), upload(device, gy)
        runner.forward(geometry, held_x, w)
        runner.backward_data(geometry, held_gy, w)
        runner.backward_filter(geometry, held_x, held_gy)
        return executor.profile


FILES = ("tensor_core_tile.cuh", "tensor_core_loads.cuh", "tensor_core_results.cuh")


@pytest.mark.parametrize("file", FILES)
def test_shared_memory_has_no_bank_conflicts(profile: Profile, file: str) -> None:
    found = profile.at(file, "shared")
    assert found
    assert [access for access, traffic in found.items() if traffic.wavefronts > traffic.ideal_wavefronts] == []


@pytest.mark.parametrize("file", ["tensor_core_loads.cuh", "tensor_core_results.cuh"])
def test_global_memory_moves_in_whole_sectors(profile: Profile, file: str) -> None:
    found = profile.at(file, "global")
    assert {access.bytes for access in found} == {16}
    assert [access for access, traffic in found.items() if traffic.sectors > 1.25 * traffic.ideal_sectors] == []


def test_an_operand_is_read_once_for_each_tile_of_the_other(profile: Profile) -> None:
    """64 channels and 128 filters of 256 pixels, tiles of 128 x 64: the fewest bytes that such tiles can move."""
    x, w, gy = 256 * 64 * 2, 64 * 128 * 2, 256 * 128 * 2
    least = {
        "convolution2d_forward_tensor": x * (128 // 64) + w * (256 // 128),
        "convolution2d_backward_data_tensor": gy * (64 // 64) + w * (256 // 128),
        "convolution2d_backward_filter_tensor": x * (128 // 64) + gy * 1,
    }
    moved = dict.fromkeys(least, 0)
    for (kernel, _), traffic in profile.buffers.items():
        if kernel in moved:
            moved[kernel] += traffic.sector_bytes_read
    assert moved == least
