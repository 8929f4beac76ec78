"""Winograd's algorithm on the CPU: its matrices in rational numbers, and convolutions against float64 loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpunn import backend
from gpunn.backend.attributes import LINEAR, RELU, Activation, Arithmetic
from gpunn.backend.contract import Device
from gpunn.backend.cpu.convolution_algorithms import choosing
from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    ForwardCall,
)
from gpunn.backend.cpu.convolution_algorithms.winograd import convolving, filter_gradient, plan, sizes, task
from gpunn.backend.cpu.convolution_algorithms.winograd.transforms import POINTS, exact_transforms, transforms
from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Conv2dGeometry, Padding
from tests.backend.arrays import FLOAT32, FLOAT64, Host, integers, reals, unwritten, upload, workspace
from tests.reference import convolution as reference

#: Relative L2 errors: what is asked of a layer in float32, and many roundings of float64.
BOUNDS = {FLOAT32: 2e-5, FLOAT64: 1e-12}


def square(N: int, size: int, C: int, K: int, window: int, padding: int) -> Conv2dGeometry:
    return Conv2dGeometry(N, size, size, C, K, window, window, padding=Padding(padding, padding, padding, padding))


CASES = {
    "whole tiles": square(2, 8, 3, 5, 3, 1),
    "a tile and a pixel": square(3, 5, 16, 7, 3, 1),
    "13x13": square(2, 13, 8, 9, 3, 1),
    "one pixel": square(3, 1, 5, 4, 3, 1),
    "no padding": square(2, 9, 4, 6, 3, 0),
    "padding above the window": square(2, 3, 3, 4, 3, 4),
    "four-sided padding": Conv2dGeometry(2, 7, 10, 3, 5, 3, 3, padding=Padding(0, 3, 1, 5)),
    "a wide image": Conv2dGeometry(1, 4, 41, 6, 3, 3, 3, padding=Padding(1, 1, 1, 1)),
    "5x5": square(2, 11, 4, 6, 5, 2),
    "5x5, no padding": square(3, 9, 3, 4, 5, 0),
    "many images": square(67, 6, 4, 5, 3, 1),
}


@pytest.fixture(params=["bands of each thread", "bands of all threads"])
def large_filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both ways to share the work, in bands so small that there are several."""
    together = request.param == "bands of all threads"
    monkeypatch.setattr(plan, "LARGE_FILTERS_BYTES", 0 if together else 1 << 40)
    monkeypatch.setattr(plan, "SHARED_BAND_BYTES", 20_000)
    monkeypatch.setattr(plan, "BAND_BYTES", 9_000)
    forget_plans()
    yield
    monkeypatch.undo()
    forget_plans()


def forget_plans() -> None:
    for function in (plan.plan_tiles, task.forward_task, task.backward_data_task, filter_gradient.filter_task):
        function.cache_clear()


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 3), (5, 3), (6, 3), (4, 5), (2, 5), (4, 1)])
def test_the_matrices_filter_exactly(m: int, r: int) -> None:
    exact, n = exact_transforms(POINTS[m + r - 2], r), m + r - 1
    for i, k, pixel in product(range(m), range(r), range(n)):
        terms = (exact.outputs[i][j] * exact.filters[j][k] * exact.inputs[j][pixel] for j in range(n))
        assert sum(terms) == Fraction(pixel == i + k)


def test_the_matrices_of_lavin_and_gray() -> None:
    """F(4, 3) as in "Fast algorithms for convolutional neural networks", section 4.3."""
    exact = exact_transforms([Fraction(point) for point in (0, 1, -1, 2, -2)], 3)
    assert exact.inputs == (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    )
    assert exact.outputs == ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
    assert [[24 * number for number in row] for row in exact.filters] == [
        [6, 0, 0],
        [-4, -4, -4],
        [-4, 4, -4],
        [1, 2, 4],
        [1, -2, 4],
        [0, 0, 24],
    ]


def test_the_point_1_is_where_it_is_said_to_be() -> None:
    for m, r in ((2, 3), (4, 3), (5, 3), (6, 3), (4, 5)):
        found = transforms(m, r, FLOAT64)
        np.testing.assert_array_equal(found.outputs[:, found.one], 1)


def close(result: Host, expected: Host) -> bool:
    error = np.linalg.norm(result.astype(np.float64) - expected)
    return bool(error <= BOUNDS[result.dtype] * np.linalg.norm(expected))


def check(device: Device, geometry: Conv2dGeometry, dtype: Any, function: Activation = LINEAR) -> None:
    """All three primitives, written and added, against the loops."""
    primitives, settings = device.primitives, Arithmetic(np.dtype(dtype).name, "winograd")
    x, w = reals(1, geometry.input_shape, dtype), reals(2, geometry.filter_shape, dtype)
    bias, gy = reals(3, (geometry.K,), dtype), reals(4, geometry.output_shape, dtype)
    held_x, held_w, held_gy = upload(device, x), upload(device, w, "plain"), upload(device, gy)
    size = max(
        primitives.convolution2d_forward_workspace(device, geometry, dtype, settings),
        primitives.convolution2d_backward_data_workspace(device, geometry, dtype, settings),
        primitives.convolution2d_backward_filter_workspace(device, geometry, dtype, settings),
    )

    def scratch() -> Any:
        return workspace(device, size)

    y = unwritten(device, geometry.output_shape, dtype)
    held_bias = upload(device, bias)
    work = device.observe(
        lambda: primitives.convolution2d_forward(
            device, y, held_x, held_w, held_bias, geometry, function, settings, scratch()
        )
    )
    assert work.algorithm.startswith("winograd")
    expected = reference.forward(x, w, bias, geometry)
    assert close(device.download(y), np.maximum(expected, 0) if function is RELU else expected)

    expected = reference.backward_data(gy, w, geometry)
    before = reals(5, geometry.input_shape, dtype)
    for accumulate in (False, True):
        gx = upload(device, before) if accumulate else unwritten(device, geometry.input_shape, dtype)
        primitives.convolution2d_backward_data(
            device, gx, held_gy, held_w, None, geometry, LINEAR, accumulate, settings, scratch()
        )
        assert close(device.download(gx), expected + accumulate * before.astype(np.float64))

    expected, bias_sums = reference.backward_filter(x, gy, geometry), gy.sum((0, 1, 2), dtype=np.float64)
    first, first_bias = reals(6, geometry.filter_shape, dtype), reals(7, (geometry.K,), dtype)
    for accumulate in (False, True):
        gw = upload(device, first, "plain") if accumulate else unwritten(device, geometry.filter_shape, dtype, "plain")
        gbias = upload(device, first_bias) if accumulate else unwritten(device, (geometry.K,), dtype)
        primitives.convolution2d_backward_filter(
            device, gw, gbias, held_x, held_gy, geometry, accumulate, settings, scratch()
        )
        assert close(device.download(gw), expected + accumulate * first.astype(np.float64))
        assert close(device.download(gbias), bias_sums + accumulate * first_bias.astype(np.float64))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.usefixtures("large_filters")
def test_convolutions_are_those_of_the_loops(name: str, threads: int, dtype: Any) -> None:
    device = backend.open("cpu", threads)
    check(device, CASES[name], dtype)
    device.close()


@pytest.mark.usefixtures("large_filters")
def test_forward_ends_with_the_activation(cpu: Device) -> None:
    check(cpu, CASES["13x13"], FLOAT64, RELU)


@given(
    N=st.integers(1, 5),
    H=st.integers(1, 14),
    W=st.integers(1, 14),
    C=st.integers(1, 9),
    K=st.integers(1, 9),
    window=st.sampled_from([3, 5]),
    sides=st.tuples(*(st.integers(0, 3) for _ in range(4))),
)
@settings(max_examples=40, deadline=None)
def test_any_convolution_is_that_of_the_loops(
    N: int, H: int, W: int, C: int, K: int, window: int, sides: tuple[int, int, int, int]
) -> None:
    padding = Padding(*sides)
    if H + padding.top + padding.bottom < window or W + padding.left + padding.right < window:
        return
    device = backend.open("cpu", 2)
    check(device, Conv2dGeometry(N, H, W, C, K, window, window, padding=padding), FLOAT64)
    device.close()


@pytest.mark.parametrize("size", [5, 12, 13])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize(("name", "m", "r"), sizes.SIZES)
def test_every_size_of_tile_gives_the_convolution_of_the_loops(
    cpu: CpuDevice, name: str, m: int, r: int, dtype: Any, size: int
) -> None:
    geometry = square(3, size, 16, 11, r, r // 2)
    x, w = reals(1, geometry.input_shape, dtype), reals(2, geometry.filter_shape, dtype)
    gy = reals(3, geometry.output_shape, dtype)
    held_x, held_w, held_gy = upload(cpu, x), upload(cpu, w, "plain"), upload(cpu, gy)
    y, gx = unwritten(cpu, geometry.output_shape, dtype), unwritten(cpu, geometry.input_shape, dtype)
    gw = unwritten(cpu, geometry.filter_shape, dtype, "plain")

    def scratch(sized: Callable[[CpuDevice, Conv2dGeometry, Any, int], int]) -> Any:
        return workspace(cpu, sized(cpu, geometry, np.dtype(dtype), m))

    first = ForwardCall(y, held_x, held_w, None, geometry, LINEAR, scratch(convolving.forward_workspace))
    convolving.forward(cpu, first, m)
    assert close(cpu.download(y), reference.forward(x, w, None, geometry))
    second = BackwardDataCall(gx, held_gy, held_w, geometry, False, scratch(convolving.backward_data_workspace))
    convolving.backward_data(cpu, second, m)
    assert close(cpu.download(gx), reference.backward_data(gy, w, geometry))
    third = BackwardFilterCall(
        gw, None, held_x, held_gy, geometry, False, scratch(filter_gradient.backward_filter_workspace)
    )
    filter_gradient.backward_filter(cpu, third, m)
    assert close(cpu.download(gw), reference.backward_filter(x, gy, geometry))


def test_large_filters_are_shared_by_threads_and_still_right(cpu: Device) -> None:
    geometry = square(2, 6, 160, 192, 3, 1)
    assert plan.plan_tiles(task.read_input(geometry), geometry.K, 4, 4, cpu_threads(cpu)).together
    check(cpu, geometry, FLOAT32)


def cpu_threads(device: Device) -> int:
    return int(device.thread_plan()["cpu_threads"])


def test_results_repeat_bit_for_bit(cpu: Device) -> None:
    geometry = square(5, 13, 24, 40, 3, 1)
    x, gy = upload(cpu, reals(1, geometry.input_shape, FLOAT32)), upload(cpu, reals(2, geometry.output_shape, FLOAT32))
    settings = Arithmetic("float32", "winograd")
    size = cpu.primitives.convolution2d_backward_filter_workspace(cpu, geometry, FLOAT32, settings)
    results = []
    for _ in range(4):
        gw = unwritten(cpu, geometry.filter_shape, FLOAT32, "plain")
        cpu.primitives.convolution2d_backward_filter(
            cpu, gw, None, x, gy, geometry, False, settings, workspace(cpu, size)
        )
        results.append(cpu.download(gw))
    assert all(np.array_equal(results[0], result) for result in results)


@pytest.mark.parametrize(
    ("geometry", "asked", "name"),
    [
        (square(8, 56, 64, 64, 3, 1), "auto", "winograd F(6x6,3x3)"),
        (square(32, 13, 256, 384, 3, 1), "auto", "winograd F(5x5,3x3)"),
        (square(8, 28, 512, 512, 3, 1), "auto", "winograd F(4x4,3x3)"),
        (square(128, 2, 256, 256, 3, 1), "winograd", "winograd F(2x2,3x3)"),
        (square(128, 2, 256, 256, 3, 1), "auto", "shifted products"),
        (square(8, 27, 96, 256, 5, 2), "auto", "winograd F(4x4,5x5)"),
        (square(8, 56, 3, 64, 3, 1), "auto", "K-major im2col"),
        (square(8, 9, 16, 16, 1, 0), "winograd", "1x1"),
    ],
)
def test_the_algorithm_goes_with_the_shape_and_what_was_asked(geometry: Conv2dGeometry, asked: Any, name: str) -> None:
    assert choosing.in_order(choosing.FORWARD, geometry, asked)[0].name == name


@pytest.mark.parametrize("algorithms", choosing.ALGORITHMS.values(), ids=choosing.ALGORITHMS)
def test_direct_is_always_exact(algorithms: Sequence[Algorithm[Any]]) -> None:
    geometry = square(8, 56, 64, 64, 3, 1)
    assert not choosing.in_order(algorithms, geometry, "auto")[0].exact
    assert all(one.exact for one in choosing.in_order(algorithms, geometry, "direct"))


def test_slices_of_channels_are_left_to_an_exact_algorithm(cpu: Device) -> None:
    geometry = square(2, 6, 8, 8, 3, 1)
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    wide = upload(cpu, np.pad(x, [(0, 0), (0, 0), (0, 0), (2, 1)]))
    y = unwritten(cpu, geometry.output_shape, FLOAT32)
    settings = Arithmetic("float32", "winograd")
    scratch = workspace(cpu, cpu.primitives.convolution2d_forward_workspace(cpu, geometry, FLOAT32, settings))
    held = upload(cpu, w, "plain")
    work = cpu.observe(
        lambda: cpu.primitives.convolution2d_forward(
            cpu, y, wide[..., 2:10], held, None, geometry, LINEAR, settings, scratch
        )
    )
    assert not work.algorithm.startswith("winograd")
    np.testing.assert_array_equal(cpu.download(y), reference.forward(x, w, None, geometry))
