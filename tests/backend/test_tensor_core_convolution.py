"""Convolution on tensor cores, each tile and number type, against float64 loops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn.backend.attributes import Arithmetic
from gpunn.backend.cuda.convolution_kernels.tensor_core import (
    TENSOR_CORE_BACKWARD_DATA,
    TENSOR_CORE_BACKWARD_FILTER,
    TENSOR_CORE_FORWARD,
)
from gpunn.backend.cuda.convolution_kernels.variants import ForwardCall, Problem
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.geometry import Conv2dGeometry, Padding, Pair
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32, integers, reals, unwritten, upload, upload_slice, workspace
from tests.backend.emulator.devices import CHECK, FAST, emulator
from tests.backend.tensor_cores import Runner, integer_arrays, shapes_of
from tests.cases.convolution import CONVOLUTIONS
from tests.reference import convolution as reference

#: The unit roundoff of a factor: 16-bit factors are stored as they are multiplied.
FACTOR_ROUNDING = {"bfloat16": 0.0, "float16": 0.0, "tf32": 2.0**-11}
SAME = Padding(1, 1, 1, 1)
#: Channels and filters of a group in whole chunks of 16 bytes.
ALIGNED = {
    "3x3 same": Conv2dGeometry(2, 7, 6, 16, 24, 3, 3, padding=SAME),
    "stride 2": Conv2dGeometry(2, 7, 9, 8, 16, 3, 3, Pair(2, 2), SAME),
    "dilation 2, stride 3": Conv2dGeometry(2, 11, 9, 8, 8, 4, 3, Pair(3, 3), Padding(1, 2, 2, 1), Pair(2, 2)),
    "two groups of 24 channels": Conv2dGeometry(2, 5, 6, 48, 32, 3, 3, padding=SAME, groups=2),
    "stride above the window": Conv2dGeometry(1, 7, 5, 8, 8, 1, 2, Pair(3, 4), SAME),
    "more than a tile in every direction": Conv2dGeometry(2, 9, 8, 24, 136, 3, 3, padding=SAME),
    "fully connected": Conv2dGeometry(9, 1, 1, 520, 528, 1, 1),
    "many pixels": Conv2dGeometry(2, 18, 17, 8, 8, 1, 1),
}
#: Of few operations: the others differ in size only, and are run by other tests.
SMALL = {name: geometry for name, geometry in CONVOLUTIONS.items() if geometry.flops < 1_000_000}
#: (number type of the factors, word of the tile); each is a build of three kernels.
FAST_BUILDS = [
    *(("bfloat16", word) for word in ("aligned_128x128", "aligned_128x64", "aligned_64x64", "padded")),
    *(("tf32", word) for word in ("aligned_64x64", "padded")),
    ("float16", "aligned_64x64"),
]
CHECK_BUILDS = [("bfloat16", "aligned_128x64"), ("bfloat16", "padded"), ("tf32", "aligned_128x128")]


@pytest.fixture(scope="module")
def devices() -> Iterator[dict[str, CudaDevice]]:
    """The fast build, and the check build with copies as early and as late as they may come."""
    with ExitStack() as stack:
        settings = {
            "fast": FAST,
            "check": CHECK,
            "check, late copies": EmulatorSettings(check=True, schedule="random", seed=3, copies="late"),
        }
        yield {name: stack.enter_context(emulator(chosen)) for name, chosen in settings.items()}


@pytest.fixture(params=FAST_BUILDS, ids="-".join)
def runner(request: pytest.FixtureRequest, devices: dict[str, CudaDevice]) -> Runner:
    """Every tile on the fast build."""
    return Runner(devices["fast"], *request.param)


def expect_exact(runner: Runner, geometry: Conv2dGeometry) -> None:
    """float32 holds the sums exactly; what is stored in 16 bits is their rounding."""
    x, w, gy = integer_arrays(geometry, runner.dtype)
    bias = integers(3, (geometry.K,), FLOAT32)
    held_x, held_gy = upload(runner.device, x), upload(runner.device, gy)
    y = reference.forward(x, w, bias, geometry).astype(runner.dtype)
    np.testing.assert_array_equal(runner.forward(geometry, held_x, w, bias), y)
    gx = reference.backward_data(gy, w, geometry).astype(runner.dtype)
    np.testing.assert_array_equal(runner.backward_data(geometry, held_gy, w), gx)
    gw, gbias = runner.backward_filter(geometry, held_x, held_gy)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))
    np.testing.assert_array_equal(gbias, gy.sum((0, 1, 2), dtype=np.float64))


@pytest.mark.parametrize("name", ALIGNED)
def test_integers_are_exact(runner: Runner, name: str) -> None:
    expect_exact(runner, ALIGNED[name])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("multiplied", ["bfloat16", "tf32"])
def test_any_geometry_is_served(devices: dict[str, CudaDevice], multiplied: str, name: str) -> None:
    expect_exact(Runner(devices["fast"], multiplied, "padded"), SMALL[name])


@pytest.mark.parametrize("build", ["check", "check, late copies"])
@pytest.mark.parametrize(("multiplied", "word"), CHECK_BUILDS)
def test_checks_find_nothing(devices: dict[str, CudaDevice], build: str, multiplied: str, word: str) -> None:
    checked = Runner(devices[build], multiplied, word)
    for geometry in (ALIGNED["stride 2"], ALIGNED["two groups of 24 channels"], ALIGNED["many pixels"]):
        expect_exact(checked, geometry)
    if word == "padded":
        for name in ("3x3 same, three channels", "a group for each channel, two filters each", "1x1 map"):
            expect_exact(checked, CONVOLUTIONS[name])


def test_real_numbers_obey_the_rounding_bound(runner: Runner) -> None:
    """Two rounded factors, a sum of n float32 additions at most, and the rounding of what is stored."""
    geometry = ALIGNED["more than a tile in every direction"]
    x, w, gy = (reals(seed, shape, runner.dtype) for seed, shape in enumerate(shapes_of(geometry)))
    held_x, held_gy = upload(runner.device, x), upload(runner.device, gy)
    factors, stored = FACTOR_ROUNDING[runner.multiplied], float(ml_dtypes.finfo(runner.dtype).eps) / 2
    sums = (
        (runner.forward(geometry, held_x, w), x, w, lambda a, b: reference.forward(a, b, None, geometry), 9 * 24),
        (
            runner.backward_data(geometry, held_gy, w),
            gy,
            w,
            partial(reference.backward_data, geometry=geometry),
            9 * 136,
        ),
        (
            runner.backward_filter(geometry, held_x, held_gy)[0],
            *(x, gy, partial(reference.backward_filter, geometry=geometry)),
            prod(geometry.output_shape[:3]),
        ),
    )
    for result, a, b, function, additions in sums:
        expected, size = function(a, b), function(abs(a), abs(b))
        rounding = 0.0 if result.dtype == FLOAT32 else stored
        bound = (2 * factors + factors**2 + additions * 2.0**-24) * size
        assert np.all(np.abs(result.astype(np.float64) - expected) <= bound * (1 + rounding) + rounding * abs(expected))


def test_tf32_factors_are_rounded_to_nearest(devices: dict[str, CudaDevice]) -> None:
    """1 + 3/2048 is halfway between two TF32 numbers; 1 + 1/4096 is nearer to 1."""
    tf32 = Runner(devices["fast"], "tf32", "aligned_64x64")
    geometry = Conv2dGeometry(1, 1, 1, 8, 8, 1, 1)
    x = np.zeros(geometry.input_shape, np.float32)
    w = np.zeros(geometry.filter_shape, np.float32)
    x[..., 0], x[..., 1] = 1 + 3 / 2048, 1 + 1 / 4096
    w[..., 0, :4] = w[..., 1, 4:] = 1
    expected = np.array([1 + 2 / 1024] * 4 + [1] * 4, np.float32)
    np.testing.assert_array_equal(tf32.forward(geometry, upload(tf32.device, x), w).ravel(), expected)


def test_splits_are_where_they_pay() -> None:
    """The cases that other tests take for split ones: few tiles and a long depth."""
    problems = [
        Problem(ALIGNED[name], BFLOAT16, Arithmetic("bfloat16"), 80) for name in ("fully connected", "many pixels")
    ]
    assert TENSOR_CORE_FORWARD[0].workspace(problems[0]) > 0
    assert TENSOR_CORE_BACKWARD_DATA[0].workspace(problems[0]) > 0
    assert TENSOR_CORE_BACKWARD_FILTER[0].workspace(problems[1]) > 0
    vgg = Problem(Conv2dGeometry(128, 56, 56, 256, 256, 3, 3, padding=SAME), BFLOAT16, Arithmetic("bfloat16"), 80)
    assert TENSOR_CORE_FORWARD[0].workspace(vgg) == TENSOR_CORE_BACKWARD_DATA[0].workspace(vgg) == 0
    assert TENSOR_CORE_BACKWARD_FILTER[0].workspace(vgg) > 0


@pytest.mark.parametrize("name", ["stride 2", "fully connected", "many pixels"])
def test_epilogues(runner: Runner, name: str) -> None:
    """ReLU forward and backward, and accumulation; where sums are split, they end in other kernels."""
    geometry = ALIGNED[name]
    x, w, gy = integer_arrays(geometry, runner.dtype)
    bias, saved = integers(5, (geometry.K,), FLOAT32), integers(6, geometry.input_shape, runner.dtype)
    held_x, held_gy = upload(runner.device, x), upload(runner.device, gy)
    y = np.maximum(reference.forward(x, w, bias, geometry), 0).astype(runner.dtype)
    np.testing.assert_array_equal(runner.forward(geometry, held_x, w, bias, apply_relu=True), y)
    gx = reference.backward_data(gy, w, geometry)
    masked = np.where(saved > 0, gx, 0).astype(runner.dtype)
    np.testing.assert_array_equal(runner.backward_data(geometry, held_gy, w, saved=saved), masked)
    added = (gx + saved.astype(np.float64)).astype(runner.dtype)
    np.testing.assert_array_equal(runner.backward_data(geometry, held_gy, w, before=saved), added)
    before = integers(7, geometry.filter_shape, FLOAT32), integers(8, (geometry.K,), FLOAT32)
    gw, gbias = runner.backward_filter(geometry, held_x, held_gy, before)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry) + before[0])
    np.testing.assert_array_equal(gbias, gy.sum((0, 1, 2), dtype=np.float64) + before[1])


def test_output_may_be_wider_than_the_factors(runner: Runner) -> None:
    """1x1 filters of 8 channels are one stage: nothing is split, and the kernel writes float32 itself."""
    geometry = Conv2dGeometry(3, 3, 3, 8, 16, 1, 1)
    x, w, _ = integer_arrays(geometry, runner.dtype)
    bias = np.full(geometry.K, 2.0**-10, np.float32)
    y = unwritten(runner.device, geometry.output_shape, FLOAT32)
    runner.forward(geometry, upload(runner.device, x), w, bias, y=y)
    np.testing.assert_array_equal(runner.device.download(y), reference.forward(x, w, bias, geometry))


@pytest.mark.parametrize("sides", [(8, 16), (3, 2), (4, 4), (0, 1)])
def test_channels_may_be_slices_of_wider_arrays(runner: Runner, sides: tuple[int, int]) -> None:
    """Whole chunks before and after leave the pitch aligned; (3, 2) and (0, 1) do not; (4, 4) spoils the address."""
    geometry = ALIGNED["dilation 2, stride 3"]
    x, w, gy = integer_arrays(geometry, runner.dtype)
    slices = [upload_slice(runner.device, host, *sides) for host in (x, gy)]
    word = "" if sides == (8, 16) else "padded"
    able = Runner(runner.device, runner.multiplied, word) if word else runner
    if word and not able.serves(geometry):
        return
    results = [
        np.full((*shape[:3], sum(sides) + shape[3]), 7, runner.dtype)
        for shape in (geometry.output_shape, geometry.input_shape)
    ]
    wide_y, wide_gx = (upload(runner.device, host) for host in results)
    y, gx = (
        wide[..., sides[0] : sides[0] + channels] for wide, channels in ((wide_y, geometry.K), (wide_gx, geometry.C))
    )
    able.forward(geometry, slices[0], w, y=y)
    able.backward_data(geometry, slices[1], w, gx=gx)
    gw, _ = able.backward_filter(geometry, *slices)
    expected_y, expected_gx = reference.forward(x, w, None, geometry), reference.backward_data(gy, w, geometry)
    np.testing.assert_array_equal(runner.device.download(y), expected_y.astype(runner.dtype))
    np.testing.assert_array_equal(runner.device.download(gx), expected_gx.astype(runner.dtype))
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))
    for wide, channels in ((wide_y, geometry.K), (wide_gx, geometry.C)):
        neighbours = np.delete(runner.device.download(wide), range(sides[0], sides[0] + channels), axis=-1)
        assert np.all(neighbours == 7)


def test_pitches_and_addresses_that_are_no_chunks(devices: dict[str, CudaDevice]) -> None:
    """A pitch is refused; an address alone, which a plan does not know, is served by the padded tile."""
    runner = Runner(devices["fast"], "bfloat16", "aligned_64x64")
    geometry = ALIGNED["dilation 2, stride 3"]
    x, w, _ = integer_arrays(geometry, BFLOAT16)
    variant, problem = runner.pick(TENSOR_CORE_FORWARD), runner.problem(geometry)
    y, held_w = unwritten(runner.device, geometry.output_shape, BFLOAT16), upload(runner.device, w)
    scratch = workspace(runner.device, variant.workspace(problem))
    odd = upload_slice(runner.device, x, 3, 2)
    assert not variant.accepts(ForwardCall(problem, y, odd, held_w, None, False, scratch))
    shifted = upload_slice(runner.device, x, 3, 5)
    assert variant.accepts(ForwardCall(problem, y, shifted, held_w, None, False, scratch))
    expected = reference.forward(x, w, None, geometry).astype(BFLOAT16)
    np.testing.assert_array_equal(runner.forward(geometry, shifted, w), expected)


def test_not_a_number_reaches_only_the_windows_that_hold_it(devices: dict[str, CudaDevice]) -> None:
    """What pads the depth is zero on both sides: zero times NaN would spread it."""
    runner = Runner(devices["fast"], "bfloat16", "padded")
    geometry = Conv2dGeometry(1, 6, 6, 3, 5, 2, 2)
    x, w = np.ones(geometry.input_shape, BFLOAT16), np.ones(geometry.filter_shape, BFLOAT16)
    x[0, 3, 3, 0] = np.nan
    expected = np.full((5, 5), 12.0)
    expected[2:4, 2:4] = np.nan
    for k in range(geometry.K):
        y = runner.forward(geometry, upload(runner.device, x), w)[0, :, :, k].astype(np.float64)
        np.testing.assert_array_equal(y, expected)


def test_a_second_run_and_another_schedule_give_the_same_bits(devices: dict[str, CudaDevice]) -> None:
    geometry = ALIGNED["two groups of 24 channels"]
    x, w, gy = (reals(seed, shape, BFLOAT16) for seed, shape in enumerate(shapes_of(geometry)))
    bits = set()
    for build in ("fast", "fast", "check", "check, late copies"):
        runner = Runner(devices[build], "bfloat16", "aligned_128x64")
        held_x, held_gy = upload(runner.device, x), upload(runner.device, gy)
        results = (
            runner.forward(geometry, held_x, w),
            runner.backward_data(geometry, held_gy, w),
            *runner.backward_filter(geometry, held_x, held_gy),
        )
        bits.add(b"".join(result.tobytes() for result in results))
    assert len(bits) == 1


def test_who_is_served() -> None:
    """Capability 8.0 and reduced factors; chunks of 8 16-bit channels or 4 floats for the aligned tiles."""
    eight, four = (Conv2dGeometry(1, 4, 4, C, C, 1, 1) for C in (8, 4))
    aligned, padded = TENSOR_CORE_FORWARD[0], TENSOR_CORE_FORWARD[-1]

    def problem(geometry: Conv2dGeometry, dtype: Any, multiplied: Any, capability: int = 80) -> Problem:
        return Problem(geometry, dtype, Arithmetic(multiplied), capability)

    assert aligned.serves(problem(eight, BFLOAT16, "bfloat16"))
    assert not aligned.serves(problem(eight, BFLOAT16, "bfloat16", capability=75))
    assert not aligned.serves(problem(eight, FLOAT32, "float32"))
    assert not aligned.serves(problem(four, FLOAT16, "float16"))
    assert aligned.serves(problem(four, FLOAT32, "tf32"))
    assert padded.serves(problem(four, FLOAT16, "float16"))
