"""Every exact algorithm of the CPU's convolutions, whether it would be chosen or not, against float64 loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, RELU, Arithmetic
from gpunn.backend.contract import Array
from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    ForwardCall,
    any_call,
)
from gpunn.backend.cpu.convolution_algorithms.choosing import (
    ALGORITHMS,
    BACKWARD_DATA,
    BACKWARD_FILTER,
    FORWARD,
    in_order,
)
from gpunn.backend.cpu.device import CpuDevice, open_cpu
from gpunn.geometry import Conv2dGeometry, Padding, Pair
from tests.backend.arrays import FLOAT32, FLOAT64, Host, integers, reals, unwritten, upload, upload_slice, workspace
from tests.cases.convolution import CONVOLUTIONS
from tests.reference import convolution as reference
from tests.threads import at_once

#: Shapes that some algorithm is made for, and the shared ones have not.
OWN = {
    "tiny map, many filters": Conv2dGeometry(3, 2, 2, 70, 100, 3, 3, padding=Padding(1, 1, 1, 1)),
    "tiny map, stride 2": Conv2dGeometry(2, 3, 4, 40, 66, 3, 3, Pair(2, 2), Padding(1, 1, 1, 1)),
    "taps that meet nothing": Conv2dGeometry(2, 1, 2, 33, 35, 5, 5, padding=Padding(2, 2, 2, 2)),
    "depthwise, stride 2": Conv2dGeometry(3, 9, 8, 12, 12, 3, 3, Pair(2, 2), Padding(1, 1, 1, 1), groups=12),
    "depthwise, long runs": Conv2dGeometry(20, 7, 6, 32, 32, 3, 3, padding=Padding(1, 1, 1, 1), groups=32),
    "depthwise, stride above the window": Conv2dGeometry(2, 9, 9, 4, 4, 2, 2, Pair(3, 3), groups=4),
    "depthwise, dilated": Conv2dGeometry(2, 9, 9, 4, 4, 3, 3, dilation=Pair(2, 2), groups=4),
    "depthwise, one tap": Conv2dGeometry(2, 5, 4, 6, 6, 1, 1, groups=6),
    "depthwise, several blocks": Conv2dGeometry(40, 40, 6, 32, 32, 3, 3, padding=Padding(1, 1, 1, 1), groups=32),
    "depthwise, parts of rows that are short runs": Conv2dGeometry(8, 2, 4200, 1, 1, 1, 1),
    "depthwise, parts of rows": Conv2dGeometry(64, 2, 40, 128, 128, 3, 3, padding=Padding(1, 1, 1, 1), groups=128),
    "blocks of one pixel and a half": Conv2dGeometry(2, 11, 12, 3, 5, 5, 7, Pair(2, 3), Padding(2, 1, 0, 4)),
    "blocks, pixels that nothing reads": Conv2dGeometry(2, 13, 11, 3, 5, 3, 3, Pair(2, 2)),
    "blocks of padding": Conv2dGeometry(1, 3, 3, 2, 4, 5, 5, Pair(2, 2), Padding(6, 6, 6, 6)),
    "few filters and taps, many pixels": Conv2dGeometry(40, 12, 10, 1, 4, 3, 3),
    "1x1, many blocks": Conv2dGeometry(30, 20, 20, 24, 40, 1, 1),
    "1x1, more channels than pixels": Conv2dGeometry(3, 7, 7, 135, 263, 1, 1),
    "1x1, more channels than pixels, stride 2": Conv2dGeometry(3, 14, 13, 135, 263, 1, 1, Pair(2, 2)),
    "small maps, two groups": Conv2dGeometry(4, 9, 8, 74, 70, 3, 3, padding=Padding(1, 0, 1, 2), groups=2),
    "a row of one image": Conv2dGeometry(1, 9, 12, 6, 6, 3, 3, padding=Padding(1, 1, 1, 1), groups=6),
}
CASES = CONVOLUTIONS | OWN
#: Slices of channels and plain memory order: whatever an algorithm accepts must come out right.
SCATTERED = [
    "3x3 same",
    "1x1",
    "1x1, stride 2",
    "two groups, 1x1",
    "3x3, stride 2, three channels",
    "a group for each channel",
    "depthwise, stride 2",
    "tiny map, many filters",
    "11x11, stride 4, three channels",
    "a row of one image",
    "1x1, more channels than pixels",
    "1x1, more channels than pixels, stride 2",
]
#: Those that threads cut by rows or channels, wherever they meet.
SHARED = [
    "tiny map, many filters",
    "tiny map, stride 2",
    "1x1, more channels than pixels",
    "1x1, more channels than pixels, stride 2",
    "small maps, two groups",
    "a row of one image",
]


def exact_ones(algorithms: Sequence[Algorithm[Any]], names: Sequence[str] = tuple(CASES)) -> Iterator[Any]:
    """Each exact algorithm with each case that it serves."""
    for algorithm in algorithms:
        for name in names:
            if algorithm.exact and algorithm.serves(CASES[name]):
                yield pytest.param(algorithm, CASES[name], id=f"{algorithm.name}-{name}")


def each_exact(algorithms: Sequence[Algorithm[Any]], names: Sequence[str] = tuple(CASES)) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("algorithm", "geometry"), list(exact_ones(algorithms, names)))


@pytest.fixture(scope="module", params=[1, 3], ids="{} threads".format)
def threads(request: pytest.FixtureRequest) -> Iterator[CpuDevice]:
    device = open_cpu(request.param)
    yield device
    device.close()


each_dtype = pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)


def scratch(device: CpuDevice, algorithm: Algorithm[Any], geometry: Conv2dGeometry, dtype: Any) -> Array:
    return workspace(device, algorithm.workspace(device, geometry, np.dtype(dtype)))


@cache
def forward_of_integers(geometry: Conv2dGeometry) -> Host:
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    return reference.forward(x, w, integers(3, (geometry.K,), FLOAT32), geometry)


@cache
def data_of_integers(geometry: Conv2dGeometry) -> Host:
    gy, w = integers(1, geometry.output_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    return reference.backward_data(gy, w, geometry)


@cache
def filters_of_integers(geometry: Conv2dGeometry) -> tuple[Host, Host]:
    x, gy = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.output_shape, FLOAT32)
    return reference.backward_filter(x, gy, geometry), gy.sum((0, 1, 2), dtype=np.float64)


@each_exact(FORWARD)
@each_dtype
def test_forward(threads: CpuDevice, algorithm: Algorithm[ForwardCall], geometry: Conv2dGeometry, dtype: Any) -> None:
    x = upload(threads, integers(1, geometry.input_shape, dtype))
    w = upload(threads, integers(2, geometry.filter_shape, dtype), "plain")
    bias = integers(3, (geometry.K,), dtype)
    expected = forward_of_integers(geometry)
    for given, function, result in (
        (upload(threads, bias), RELU, np.maximum(expected, 0)),
        (None, LINEAR, expected - bias),
    ):
        y = unwritten(threads, geometry.output_shape, dtype)
        call = ForwardCall(y, x, w, given, geometry, function, scratch(threads, algorithm, geometry, dtype))
        algorithm.run(threads, call)
        np.testing.assert_array_equal(threads.download(y), result)


@each_exact(BACKWARD_DATA)
@each_dtype
def test_backward_data(
    threads: CpuDevice, algorithm: Algorithm[BackwardDataCall], geometry: Conv2dGeometry, dtype: Any
) -> None:
    gy = upload(threads, integers(1, geometry.output_shape, dtype))
    w = upload(threads, integers(2, geometry.filter_shape, dtype), "plain")
    before, expected = integers(3, geometry.input_shape, dtype), data_of_integers(geometry)
    for accumulate in (False, True):
        gx = upload(threads, before) if accumulate else unwritten(threads, geometry.input_shape, dtype)
        call = BackwardDataCall(gx, gy, w, geometry, accumulate, scratch(threads, algorithm, geometry, dtype))
        algorithm.run(threads, call)
        np.testing.assert_array_equal(threads.download(gx), expected + accumulate * before.astype(np.float64))


@each_exact(BACKWARD_FILTER)
@each_dtype
def test_backward_filter(
    threads: CpuDevice, algorithm: Algorithm[BackwardFilterCall], geometry: Conv2dGeometry, dtype: Any
) -> None:
    x = upload(threads, integers(1, geometry.input_shape, dtype))
    gy = upload(threads, integers(2, geometry.output_shape, dtype))
    first, first_bias = integers(3, geometry.filter_shape, dtype), integers(4, (geometry.K,), dtype)
    expected, expected_bias = filters_of_integers(geometry)
    for accumulate, with_bias in ((False, True), (True, True), (False, False)):
        gw, gbias = (
            (upload(threads, first, "plain"), upload(threads, first_bias))
            if accumulate
            else (unwritten(threads, geometry.filter_shape, dtype, "plain"), unwritten(threads, (geometry.K,), dtype))
        )
        area = scratch(threads, algorithm, geometry, dtype)
        algorithm.run(threads, BackwardFilterCall(gw, gbias if with_bias else None, x, gy, geometry, accumulate, area))
        np.testing.assert_array_equal(threads.download(gw), expected + accumulate * first.astype(np.float64))
        if with_bias:
            result = expected_bias + accumulate * first_bias.astype(np.float64)
            np.testing.assert_array_equal(threads.download(gbias), result)


@each_exact(FORWARD, SCATTERED)
@pytest.mark.parametrize("memory", ["slices", "plain"])
def test_forward_of_scattered_memory(
    cpu: CpuDevice, algorithm: Algorithm[ForwardCall], geometry: Conv2dGeometry, memory: str
) -> None:
    x, w = integers(1, geometry.input_shape, FLOAT32), upload(cpu, integers(2, geometry.filter_shape, FLOAT32), "plain")
    bias = upload(cpu, integers(3, (geometry.K,), FLOAT32))
    y, around = scattered(cpu, geometry.output_shape, memory)
    area = scratch(cpu, algorithm, geometry, FLOAT32)
    call = ForwardCall(y, held(cpu, x, memory), w, bias, geometry, LINEAR, area)
    if algorithm.accepts(call):
        algorithm.run(cpu, call)
        np.testing.assert_array_equal(cpu.download(y), forward_of_integers(geometry))
        assert untouched(cpu, around)


@each_exact(BACKWARD_DATA, SCATTERED)
@pytest.mark.parametrize("memory", ["slices", "plain"])
def test_backward_data_of_scattered_memory(
    cpu: CpuDevice, algorithm: Algorithm[BackwardDataCall], geometry: Conv2dGeometry, memory: str
) -> None:
    gy, w = (
        integers(1, geometry.output_shape, FLOAT32),
        upload(cpu, integers(2, geometry.filter_shape, FLOAT32), "plain"),
    )
    for accumulate in (False, True):
        gx, around = scattered(cpu, geometry.input_shape, memory)
        area = scratch(cpu, algorithm, geometry, FLOAT32)
        call = BackwardDataCall(gx, held(cpu, gy, memory), w, geometry, accumulate, area)
        if algorithm.accepts(call):
            algorithm.run(cpu, call)
            np.testing.assert_array_equal(cpu.download(gx), data_of_integers(geometry) + accumulate * FILLING)
            assert untouched(cpu, around)


@each_exact(BACKWARD_FILTER, SCATTERED)
@pytest.mark.parametrize("memory", ["slices", "plain"])
def test_backward_filter_of_scattered_memory(
    cpu: CpuDevice, algorithm: Algorithm[BackwardFilterCall], geometry: Conv2dGeometry, memory: str
) -> None:
    x, gy = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.output_shape, FLOAT32)
    gw = unwritten(cpu, geometry.filter_shape, FLOAT32, "plain")
    area = scratch(cpu, algorithm, geometry, FLOAT32)
    call = BackwardFilterCall(gw, None, held(cpu, x, memory), held(cpu, gy, memory), geometry, False, area)
    if algorithm.accepts(call):
        algorithm.run(cpu, call)
        np.testing.assert_array_equal(cpu.download(gw), filters_of_integers(geometry)[0])


@pytest.mark.parametrize("count", [2, 4], ids="{} threads".format)
@pytest.mark.parametrize("name", SHARED)
def test_any_number_of_threads(monkeypatch: pytest.MonkeyPatch, count: int, name: str) -> None:
    monkeypatch.setattr(CpuDevice, "parallel", at_once(CpuDevice.parallel))
    geometry = CASES[name]
    shapes = geometry.filter_shape, geometry.input_shape, geometry.output_shape
    w, x, gy = (integers(seed, shape, FLOAT32) for seed, shape in enumerate(shapes))
    device = open_cpu(count)
    arrays = upload(device, w, "plain"), upload(device, x), upload(device, gy)
    expected = (
        reference.forward(x, w, None, geometry),
        reference.backward_data(gy, w, geometry) + x,
        reference.backward_filter(x, gy, geometry) + w,
    )
    for forward in exact(FORWARD, geometry):
        y = unwritten(device, geometry.output_shape, FLOAT32)
        area = scratch(device, forward, geometry, FLOAT32)
        forward.run(device, ForwardCall(y, arrays[1], arrays[0], None, geometry, LINEAR, area))
        np.testing.assert_array_equal(device.download(y), expected[0], forward.name)
    for data in exact(BACKWARD_DATA, geometry):
        gx, area = upload(device, x), scratch(device, data, geometry, FLOAT32)
        data.run(device, BackwardDataCall(gx, arrays[2], arrays[0], geometry, True, area))
        np.testing.assert_array_equal(device.download(gx), expected[1], data.name)
    for filters in exact(BACKWARD_FILTER, geometry):
        gw, area = upload(device, w, "plain"), scratch(device, filters, geometry, FLOAT32)
        filters.run(device, BackwardFilterCall(gw, None, arrays[1], arrays[2], geometry, True, area))
        np.testing.assert_array_equal(device.download(gw), expected[2], filters.name)
    device.close()


def exact(algorithms: Sequence[Algorithm[Any]], geometry: Conv2dGeometry) -> list[Algorithm[Any]]:
    return [one for one in algorithms if one.exact and one.serves(geometry)]


@pytest.mark.parametrize(
    "name", ["1x1, many blocks", "3x3 same", "depthwise, long runs", "11x11, stride 4, three channels"]
)
def test_overflow_passes_silently(threads: CpuDevice, name: str) -> None:
    """Every product is infinite. Winograd's transforms also make NaN, of differences of infinities."""
    geometry = CASES[name]
    shapes = geometry.input_shape, geometry.output_shape, (geometry.K,)
    x, gy, bias = (upload(threads, np.full(shape, 3e38, FLOAT32)) for shape in shapes)
    w = upload(threads, np.full(geometry.filter_shape, 3e38, FLOAT32), "plain")
    y, gx = upload(threads, np.zeros(shapes[1], FLOAT32)), upload(threads, np.zeros(shapes[0], FLOAT32))
    gw = upload(threads, np.zeros(geometry.filter_shape, FLOAT32), "plain")
    gbias = upload(threads, np.zeros(geometry.K, FLOAT32))
    calls: dict[str, Callable[[Array], Any]] = {
        "convolution2d_forward": lambda area: ForwardCall(y, x, w, bias, geometry, LINEAR, area),
        "convolution2d_backward_data": lambda area: BackwardDataCall(gx, gy, w, geometry, True, area),
        "convolution2d_backward_filter": lambda area: BackwardFilterCall(gw, gbias, x, gy, geometry, True, area),
    }
    for primitive, algorithms in ALGORITHMS.items():
        for algorithm in algorithms:
            if not algorithm.serves(geometry):
                continue
            for result in (y, gx, gw, gbias):
                result.fill(0)
            call = calls[primitive](scratch(threads, algorithm, geometry, FLOAT32))
            with np.errstate(all="raise"):
                algorithm.run(threads, call)
            written = {"convolution2d_forward": (y,), "convolution2d_backward_data": (gx,)}.get(primitive, (gw, gbias))
            for result in written:
                assert (np.isposinf(result) if algorithm.exact else ~np.isfinite(result)).all(), algorithm.name


#: What lies in results before, and around slices.
FILLING = 7
BEFORE, AFTER = 2, 3


def held(device: CpuDevice, values: Host, memory: str) -> Array:
    return upload(device, values, "plain") if memory == "plain" else upload_slice(device, values, BEFORE, AFTER)


def scattered(device: CpuDevice, shape: tuple[int, ...], memory: str) -> tuple[Array, Array | None]:
    """Images to write, and the wider ones of which they are a slice."""
    if memory == "plain":
        return upload(device, np.full(shape, FILLING, FLOAT32), "plain"), None
    wide = upload(device, np.full((*shape[:3], BEFORE + shape[3] + AFTER), FILLING, FLOAT32))
    return wide[..., BEFORE : BEFORE + shape[3]], wide


def untouched(device: CpuDevice, wide: Array | None) -> bool:
    if wide is None:
        return True
    values = device.download(wide)
    return bool((values[..., :BEFORE] == FILLING).all() and (values[..., -AFTER:] == FILLING).all())


def test_some_algorithm_takes_every_call() -> None:
    for algorithms in ALGORITHMS.values():
        for geometry in CASES.values():
            last = in_order(algorithms, geometry, "direct")[-1]
            assert last.accepts is any_call


@pytest.mark.parametrize(
    ("geometry", "names"),
    [
        (CASES["1x1, many blocks"], ("1x1", "1x1", "1x1")),
        (Conv2dGeometry(32, 28, 28, 256, 512, 1, 1, Pair(2, 2)), ("1x1", "1x1", "1x1")),
        (CASES["depthwise, long runs"], ("depthwise", "depthwise", "depthwise")),
        (
            Conv2dGeometry(128, 2, 2, 512, 512, 3, 3, padding=Padding(1, 1, 1, 1)),
            ("shifted products", "shifted products", "shifted products"),
        ),
        (Conv2dGeometry(128, 28, 28, 1, 20, 5, 5), ("K-major im2col", "tapwise", "K-major im2col")),
        (Conv2dGeometry(8, 56, 56, 64, 128, 3, 3, padding=Padding(1, 1, 1, 1)), ("direct", "tapwise", "direct")),
    ],
)
def test_the_exact_algorithm_goes_with_the_shape(geometry: Conv2dGeometry, names: tuple[str, ...]) -> None:
    assert tuple(in_order(algorithms, geometry, "direct")[0].name for algorithms in ALGORITHMS.values()) == names


def test_scratch_for_a_prime_number_of_pixels(cpu: CpuDevice) -> None:
    """They fall into no even parts but single pixels, and a product for each of these would be too many."""
    prime, even = (Conv2dGeometry(1, 1, pixels + 8, 1, 8, 1, 9) for pixels in (7919, 7920))
    sizes = [
        algorithm.workspace(cpu, geometry, np.dtype(FLOAT32))
        for algorithm in BACKWARD_FILTER
        if algorithm.name == "K-major im2col"
        for geometry in (prime, even)
    ]
    assert sizes[0] <= sizes[1]


#: Layers with the longest sums, but for the number of filters, which changes none; sums are checked for a few filters.
LONG_SUMS = {
    "VGG-16 conv1_2, 401,408 pixels": Conv2dGeometry(8, 224, 224, 64, 4, 3, 3, padding=Padding(1, 1, 1, 1)),
    "VGG-16 conv1_1, 401,408 pixels": Conv2dGeometry(8, 224, 224, 3, 4, 3, 3, padding=Padding(1, 1, 1, 1)),
    "depthwise, 100,352 pixels": Conv2dGeometry(8, 112, 112, 32, 32, 3, 3, padding=Padding(1, 1, 1, 1), groups=32),
}


@pytest.mark.parametrize("name", LONG_SUMS)
def test_long_sums_are_accurate(cpu: CpuDevice, name: str) -> None:
    """Each exact algorithm within 3e-6 of float64, relative L2."""
    geometry = LONG_SUMS[name]
    x, gy = reals(1, geometry.input_shape, FLOAT32), reals(2, geometry.output_shape, FLOAT32)
    expected, bias = long_sums(x, gy, geometry)
    held_x, held_gy = upload(cpu, x), upload(cpu, gy)
    for algorithm in BACKWARD_FILTER:
        if not (algorithm.exact and algorithm.serves(geometry)):
            continue
        gw = unwritten(cpu, geometry.filter_shape, FLOAT32, "plain")
        gbias = unwritten(cpu, (geometry.K,), FLOAT32)
        area = scratch(cpu, algorithm, geometry, FLOAT32)
        algorithm.run(cpu, BackwardFilterCall(gw, gbias, held_x, held_gy, geometry, False, area))
        for result, right in ((cpu.download(gw), expected), (cpu.download(gbias), bias)):
            assert np.linalg.norm(result - right) <= 3e-6 * np.linalg.norm(right), algorithm.name


def long_sums(x: Host, gy: Host, geometry: Conv2dGeometry) -> tuple[Host, Host]:
    """The gradient of the filters, tap by tap, in float64."""
    padding = geometry.padding
    padded = np.pad(x, [(0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0)])
    subscripts = "npqc,npqc->c" if geometry.groups > 1 else "npqc,npqk->ck"
    gw = np.zeros(geometry.filter_shape)
    for r in range(geometry.R):
        for s in range(geometry.S):
            part = padded[:, r : r + geometry.P, s : s + geometry.Q].astype(np.float64)
            gw[r, s] = np.einsum(subscripts, part, gy.astype(np.float64), optimize=geometry.groups == 1)
    return gw, gy.sum((0, 1, 2), dtype=np.float64)


#: Relative L2 errors of Winograd's algorithm: what is asked of a layer in float32, and many roundings of float64.
BOUNDS = {FLOAT32: 2e-5, FLOAT64: 1e-12}
STRIDED = {
    "11x11, stride 4": Conv2dGeometry(2, 39, 43, 3, 5, 11, 11, Pair(4, 4), Padding(2, 2, 2, 2)),
    "5x5, stride 2": Conv2dGeometry(3, 14, 11, 4, 6, 5, 5, Pair(2, 2), Padding(1, 2, 2, 0)),
    "6x8, stride 2 by 3": Conv2dGeometry(2, 13, 19, 2, 3, 6, 8, Pair(2, 3)),
}


@pytest.mark.parametrize("name", STRIDED)
@each_dtype
def test_winograd_of_rearranged_images(threads: CpuDevice, name: str, dtype: Any) -> None:
    geometry = STRIDED[name]
    x, w = reals(1, geometry.input_shape, dtype), reals(2, geometry.filter_shape, dtype)
    bias, gy = reals(3, (geometry.K,), dtype), reals(4, geometry.output_shape, dtype)
    expected = {
        "forward": reference.forward(x, w, bias, geometry),
        "data": reference.backward_data(gy, w, geometry) + x,
        "filter": reference.backward_filter(x, gy, geometry) + w,
        "bias": gy.sum((0, 1, 2), dtype=np.float64) + bias,
    }
    arrays = upload(threads, x), upload(threads, w, "plain"), upload(threads, bias), upload(threads, gy)
    found = 0
    for forward, data, filters in zip(*(rearranging(ways, geometry) for ways in ALGORITHMS.values()), strict=True):
        found += 1
        area = [scratch(threads, one, geometry, dtype) for one in (forward, data, filters)]
        y, gx = unwritten(threads, geometry.output_shape, dtype), upload(threads, x)
        gw, gbias = upload(threads, w, "plain"), upload(threads, bias)
        forward.run(threads, ForwardCall(y, *arrays[:3], geometry, LINEAR, area[0]))
        data.run(threads, BackwardDataCall(gx, arrays[3], arrays[1], geometry, True, area[1]))
        filters.run(threads, BackwardFilterCall(gw, gbias, arrays[0], arrays[3], geometry, True, area[2]))
        for result, right in zip((y, gx, gw, gbias), expected.values(), strict=True):
            error = np.linalg.norm(threads.download(result) - right)
            assert error <= BOUNDS[np.dtype(dtype)] * np.linalg.norm(right), forward.name
    assert found > 0


@pytest.mark.parametrize("memory", ["slices", "plain"])
def test_winograd_of_rearranged_images_in_scattered_memory(cpu: CpuDevice, memory: str) -> None:
    """Whoever asks for it gets the right result, by an algorithm that takes results as they lie."""
    geometry, asked = STRIDED["5x5, stride 2"], Arithmetic("float32", "winograd")
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    y, around = scattered(cpu, geometry.output_shape, memory)
    size = cpu.primitives.convolution2d_forward_workspace(cpu, geometry, np.dtype(FLOAT32), asked)
    arrays = held(cpu, x, memory), upload(cpu, w, "plain")
    cpu.primitives.convolution2d_forward(cpu, y, *arrays, None, geometry, LINEAR, asked, workspace(cpu, size))
    expected = reference.forward(x, w, None, geometry)
    assert np.linalg.norm(cpu.download(y) - expected) <= BOUNDS[FLOAT32] * np.linalg.norm(expected)
    assert untouched(cpu, around)


def rearranging(algorithms: Sequence[Algorithm[Any]], geometry: Conv2dGeometry) -> list[Algorithm[Any]]:
    return [one for one in algorithms if one.name.startswith("space-to-depth, ") and one.serves(geometry)]


def test_what_arithmetic_asks_for_is_carried_out(cpu: CpuDevice) -> None:
    geometry = CASES["1x1"]
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    y = unwritten(cpu, geometry.output_shape, FLOAT32)
    settings = Arithmetic("float32", "direct")
    size = cpu.primitives.convolution2d_forward_workspace(cpu, geometry, np.dtype(FLOAT32), settings)
    arrays = upload(cpu, x), upload(cpu, w, "plain")
    work = cpu.observe(
        lambda: cpu.primitives.convolution2d_forward(
            cpu, y, *arrays, None, geometry, LINEAR, settings, workspace(cpu, size)
        )
    )
    assert work.algorithm == "1x1"
    np.testing.assert_array_equal(cpu.download(y), reference.forward(x, w, None, geometry))
