"""Memory accesses of the convolutions on ordinary cores, from recorded addresses: no bank conflicts, whole sectors."""

from __future__ import annotations

from typing import Any

import pytest

from gpunn.backend.cuda.convolution_kernels.variants import BackwardDataCall
from gpunn.backend.emulator.profile import Profile
from gpunn.geometry import Conv2dGeometry, Padding
from tests.backend.arrays import FLOAT32, integers, unwritten, upload, workspace
from tests.backend.emulator.devices import recording_emulator
from tests.kernels.test_convolution2d import VARIANTS, backward_filter, forward, problem

#: Whole tiles of 128 in every direction.
GEOMETRY = Conv2dGeometry(2, 8, 8, 128, 128, 3, 3, padding=Padding(1, 1, 1, 1))


@pytest.fixture(scope="module", params=VARIANTS, ids=[variants[0].name for variants in VARIANTS])
def profile(request: pytest.FixtureRequest) -> Any:
    x, gy = integers(1, GEOMETRY.input_shape, FLOAT32), integers(2, GEOMETRY.output_shape, FLOAT32)
    w, bias = integers(3, GEOMETRY.filter_shape, FLOAT32), integers(4, (GEOMETRY.K,), FLOAT32)
    with recording_emulator() as (device, executor):
        forward(device, request.param[0], GEOMETRY, x, w, bias)
        asked = problem(GEOMETRY, FLOAT32)
        gx, scratch = unwritten(device, x.shape, FLOAT32), workspace(device, request.param[1].workspace(asked))
        dense = gx, upload(device, gy), upload(device, w), upload(device, x)
        request.param[1].launch(device, BackwardDataCall(asked, *dense, False, scratch))
        backward_filter(device, request.param[2], GEOMETRY, x, gy, (w, bias))
        return executor.profile


@pytest.mark.parametrize("file", ["quads.cuh", "tile_product.cuh"])
def test_tiles_are_free_of_bank_conflicts(profile: Profile, file: str) -> None:
    found = profile.at(file, "shared")
    assert found
    assert [access for access, traffic in found.items() if traffic.wavefronts > traffic.ideal_wavefronts] == []


def test_sectors_are_used_whole(profile: Profile) -> None:
    found = profile.at("quads.cuh", "global")
    assert 16 in {access.bytes for access in found}
    assert [access for access, traffic in found.items() if traffic.sectors > 1.25 * traffic.ideal_sectors] == []
