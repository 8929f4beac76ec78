"""Copies, sums and the shape of arrays, against element loops; all of them exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Array, Device
from gpunn.errors import UsageError
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32, FLOATS, Host, reals, unwritten, upload, upload_slice
from tests.cases.memory import IMAGES, VECTORS
from tests.reference import memory as reference

SHAPES: dict[str, tuple[int, ...]] = {**IMAGES, **VECTORS}
#: Enough to be cut into pieces for the CPU's threads.
LARGE = (32, 24, 25, 24)
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
each_image = pytest.mark.parametrize("shape", IMAGES.values(), ids=IMAGES.keys())
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def integers(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def both(device: Device, host: Host) -> list[Array]:
    """The same values dense, and where there are channels as two slices: one that starts and ends at 16 bytes of a
    wider array if its channels fill them, and one that does not."""
    slices = [upload_slice(device, host, 8, 8), upload_slice(device, host)] if host.ndim > 1 else []
    return [upload(device, host), *slices]


@each_shape
@each_dtype
def test_copy(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    x, before = integers(1, shape, dtype), integers(2, shape, dtype)
    for held in both(device, x):
        for y in both(device, before):
            device.primitives.copy(device, y, held, True)
            np.testing.assert_array_equal(device.download(y), before + x)
            device.primitives.copy(device, y, held, False)
            np.testing.assert_array_equal(device.download(y), x)


@pytest.mark.parametrize("source", [FLOAT32, BFLOAT16, FLOAT16], ids=str)
@each_dtype
def test_copy_rounds_to_the_nearest_number_of_the_other_type(
    device: Device, source: np.dtype[Any], dtype: np.dtype[Any]
) -> None:
    if source != FLOAT32 and device.name == "cpu":
        pytest.skip("the CPU computes float32 and float64")
    for shape in SHAPES.values():
        x, before = reals(10, shape, source), integers(2, shape, dtype)
        for held in both(device, x):
            y = unwritten(device, shape, dtype)
            device.primitives.copy(device, y, held, False)
            np.testing.assert_array_equal(device.download(y), x.astype(dtype))
        for y in both(device, before):
            device.primitives.copy(device, y, held, True)
            wider = np.result_type(np.float32, dtype)
            np.testing.assert_array_equal(device.download(y), (before.astype(wider) + x.astype(wider)).astype(dtype))


def test_copies_of_what_no_type_holds_exactly(device: Device) -> None:
    """Halves of the last place go to the even neighbour; too large is infinite; a NaN stays one."""
    if device.name == "cpu":
        pytest.skip("the CPU computes float32 and float64")
    x = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-11, 1 + 3 * 2**-11, 3.4e38, -65520, 65519, 1e-8, -0.0, np.nan], "f")
    for dtype, expected in (
        (BFLOAT16, [1, 1 + 2**-6, 1, 1, np.inf, -65536, 65536, BFLOAT16.type(1e-8), -0.0, np.nan]),
        (FLOAT16, [1 + 2**-8, 1 + 3 * 2**-8, 1, 1 + 2**-9, np.inf, -np.inf, 65504, 0, -0.0, np.nan]),
    ):
        y = unwritten(device, x.shape, dtype)
        device.primitives.copy(device, y, upload(device, x), False)
        found = device.download(y).astype(np.float32)
        np.testing.assert_array_equal(found, np.array(expected, np.float32))
        assert np.signbit(found[8])


def test_copy_refuses_what_does_not_fit(device: Device) -> None:
    if device.name == "cpu":
        pytest.skip("NumPy has its own words for it")
    y, x = (upload(device, np.zeros(shape, np.float32)) for shape in ((2, 3), (3, 2)))
    with pytest.raises(UsageError, match=r"copy: .*y \(2, 3\), x \(3, 2\)"):
        device.primitives.copy(device, y, x, False)
    with pytest.raises(UsageError, match="one array or more"):
        device.primitives.add(device, y, [])
    with pytest.raises(UsageError, match="flattens to"):
        device.primitives.flatten_forward(device, y, upload(device, np.zeros((2, 2, 1, 1), np.float32)))


@each_shape
@each_dtype
def test_fill(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    for y in both(device, integers(3, shape, dtype)):
        device.primitives.fill(device, y, -1.5)
        np.testing.assert_array_equal(device.download(y), np.full(shape, -1.5))


def test_fill_leaves_the_channels_beside_a_slice(device: Device) -> None:
    wide = upload(device, np.zeros((2, 3, 4, 6), np.float32))
    device.primitives.fill(device, wide[..., 2:5], 7)
    np.testing.assert_array_equal(device.download(wide)[1, 2, 3], [0, 0, 7, 7, 7, 0])


@each_shape
@each_dtype
def test_scale(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    x, before = integers(4, shape, dtype), integers(5, shape, dtype)
    for held in both(device, x):
        for y in both(device, before):
            device.primitives.scale(device, y, held, 0.5, True)
            np.testing.assert_array_equal(device.download(y), before + x / 2)
            device.primitives.scale(device, y, held, -0.25, False)
            np.testing.assert_array_equal(device.download(y), x / -4)
        device.primitives.scale(device, held, held, 3, False)
        np.testing.assert_array_equal(device.download(held), 3 * x)


@each_image
@each_dtype
def test_flatten(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    N, H, W, C = shape
    x = integers(6, shape, dtype)
    for held in both(device, x):
        y = unwritten(device, (N, H * W * C), dtype)
        device.primitives.flatten_forward(device, y, held)
        np.testing.assert_array_equal(device.download(y), reference.flatten(x))


@each_image
@each_dtype
def test_flatten_backward_undoes_flatten(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    x, before = integers(7, shape, dtype), integers(8, shape, dtype)
    gy = upload(device, reference.flatten(x))
    for gx in both(device, before):
        device.primitives.flatten_backward(device, gx, gy, True)
        np.testing.assert_array_equal(device.download(gx), before + x)
        device.primitives.flatten_backward(device, gx, gy, False)
        np.testing.assert_array_equal(device.download(gx), x)


@each_dtype
def test_flatten_from_channels_to_features_beside_others(device: Device, dtype: Any) -> None:
    """Both sides are slices: of the channels of wider images, and of the features of longer vectors."""
    x, before = integers(7, (3, 2, 4, 5), dtype), integers(8, (3, 2, 4, 5), dtype)
    y = upload_slice(device, np.zeros((3, 40), dtype))
    device.primitives.flatten_forward(device, y, upload_slice(device, x))
    np.testing.assert_array_equal(device.download(y), reference.flatten(x))
    gx = upload_slice(device, before)
    device.primitives.flatten_backward(device, gx, y, True)
    np.testing.assert_array_equal(device.download(gx), before + x)


def test_large_arrays_are_cut_right(cpu: Device) -> None:
    """Pieces and threads of the CPU."""
    x, before = integers(1, LARGE, np.float32), integers(2, LARGE, np.float32)
    for held in both(cpu, x):
        for y in both(cpu, before):
            cpu.primitives.copy(cpu, y, held, True)
            np.testing.assert_array_equal(cpu.download(y), before + x)
            cpu.primitives.scale(cpu, y, held, 0.5, False)
            np.testing.assert_array_equal(cpu.download(y), x / 2)
            cpu.primitives.add(cpu, y, [held, y, held])
            np.testing.assert_array_equal(cpu.download(y), 2.5 * x)
            cpu.primitives.fill(cpu, y, 3)
            assert (cpu.download(y) == 3).all()


def test_flatten_of_a_large_batch(cpu: Device) -> None:
    x = np.arange(64 * 12 * 11 * 48, dtype=np.float64).reshape(64, 12, 11, 48)
    y = unwritten(cpu, (64, 12 * 11 * 48), np.float64)
    cpu.primitives.flatten_forward(cpu, y, upload(cpu, x))
    np.testing.assert_array_equal(cpu.download(y), np.arange(x.size).reshape(64, -1))


@each_shape
@pytest.mark.parametrize("count", [1, 2, 4, 6])
@each_dtype
def test_add(device: Device, shape: tuple[int, ...], count: int, dtype: Any) -> None:
    xs = [integers(seed, shape, dtype) for seed in range(count)]
    for held in ([upload(device, x) for x in xs], [both(device, x)[-1] for x in xs]):
        y = unwritten(device, shape, dtype)
        device.primitives.add(device, y, held)
        np.testing.assert_array_equal(device.download(y), np.sum(xs, axis=0))
        device.primitives.add(device, held[0], held)
        np.testing.assert_array_equal(device.download(held[0]), np.sum(xs, axis=0))


def test_add_goes_from_left_to_right(device: Device) -> None:
    terms = [upload(device, np.full((2, 3), value, np.float32)) for value in (1e8, 1.0, -1e8, 1.0)]
    y = unwritten(device, (2, 3), np.float32)
    device.primitives.add(device, y, terms)
    np.testing.assert_array_equal(device.download(y), np.ones((2, 3)))


@pytest.mark.parametrize("leading", [(3, 4, 5), (7,), (6, 10, 9)])
@each_dtype
def test_concatenate(device: Device, leading: tuple[int, ...], dtype: Any) -> None:
    xs = [integers(seed, (*leading, C), dtype) for seed, C in enumerate((2, 1, 16))]
    expected = reference.concatenate(xs)
    y = unwritten(device, expected.shape, dtype)
    device.primitives.concatenate_forward(device, y, [upload(device, x) for x in xs])
    np.testing.assert_array_equal(device.download(y), expected)


@pytest.mark.parametrize("leading", [(3, 4, 5), (7,), (6, 10, 9)])
@each_dtype
def test_concatenate_backward(device: Device, leading: tuple[int, ...], dtype: Any) -> None:
    parts = [integers(seed, (*leading, C), dtype) for seed, C in enumerate((2, 1, 16))]
    gy = upload(device, reference.concatenate(parts))
    for part, start in zip(parts, (0, 2, 3), strict=True):
        before = integers(9, part.shape, dtype)
        gx = upload(device, before)
        device.primitives.concatenate_backward(device, gx, gy, start, True)
        np.testing.assert_array_equal(device.download(gx), before + part)
        device.primitives.concatenate_backward(device, gx, gy, start, False)
        np.testing.assert_array_equal(device.download(gx), part)
