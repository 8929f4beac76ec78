"""Dropout: masks integer for integer as the paper's generator gives them, however a batch is cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import Dropout
from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import open_cpu
from gpunn.errors import UsageError
from tests.backend.arrays import FLOAT64, FLOATS, Host, unwritten, upload, upload_slice
from tests.backend.emulator.devices import FAST, emulator
from tests.reference import dropout as reference

SETTINGS = Dropout(0.4, "inverted", seed=2**64 - 59, layer=3)


def draw(
    device: Device, shape: tuple[int, ...], settings: Dropout, step: int = 11, first_image: int = 0, dtype: Any = "f4"
) -> tuple[Host, Host, Host]:
    """The input, the output and the mask."""
    x = np.random.default_rng(5).normal(size=shape).astype(dtype)
    y, mask = unwritten(device, shape, dtype), unwritten(device, shape, np.uint8)
    steps, first = upload(device, np.array([step])), upload(device, np.array([first_image]))
    device.primitives.dropout_forward(device, y, mask, upload(device, x), steps, first, settings)
    return x, device.download(y), device.download(mask)


def test_the_reference_is_the_published_generator() -> None:
    """Known answers of Random123, the authors' library (kat_vectors, philox4x64 10)."""
    ones = 2**64 - 1
    assert [f"{word:016x}" for word in reference.philox((0, 0, 0, 0), (0, 0))] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]
    assert [f"{word:016x}" for word in reference.philox((ones,) * 4, (ones,) * 2)] == [
        "87b092c3013fe90b",
        "438c3c67be8d0224",
        "9cc7d7c69cd777b6",
        "a09caebf594f0ba0",
    ]


#: Images of an odd size, whose blocks of eight numbers join two images (forty of them fill five blocks), of four
#: numbers, which is half a block, and of whole blocks.
DRAWN = ((1, 1), (5, 7), (3, 1, 1, 5), (2, 3, 5, 3), (8, 5), (3, 4), (5, 2, 2, 2), (3, 16), (2, 3, 1, 8), (1, 2, 3, 24))


@pytest.mark.parametrize("shape", DRAWN, ids=str)
@pytest.mark.parametrize("first_image", [0, 3, 10**12 + 7])
def test_mask_is_integer_for_integer_the_reference(device: Device, shape: tuple[int, ...], first_image: int) -> None:
    for settings in (SETTINGS, Dropout(0.5, "classic", seed=0, layer=0), Dropout(0.75, "inverted", 17, 2**40)):
        x, y, mask = draw(device, shape, settings, step=11, first_image=first_image)
        assert np.array_equal(mask, reference.mask(shape, first_image, 11, settings))
        factor = np.float32(1 / (1 - settings.p)) if settings.mode == "inverted" else np.float32(1)
        assert np.array_equal(y, np.where(mask == 1, x * factor, 0))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(5, 7), (3, 12), (8, 5), (3, 2, 4, 8)], ids=str)
def test_every_number_type_has_the_same_mask(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    x, y, mask = draw(device, shape, SETTINGS, first_image=3, dtype=dtype)
    assert np.array_equal(mask, reference.mask(shape, 3, 11, SETTINGS))
    wide = x if dtype == FLOAT64 else x.astype(np.float32)
    factor = wide.dtype.type(1 / (1 - SETTINGS.p))
    assert np.array_equal(y, np.where(mask == 1, (wide * factor).astype(dtype), 0))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("sides", [(8, 8), (8, 4), (3, 2)], ids=str)
@pytest.mark.parametrize("channels", [8, 4, 5])
def test_slices_of_channels_and_results_in_place(
    device: Device, channels: int, sides: tuple[int, int], dtype: Any
) -> None:
    shape = (2, 3, 2, channels)
    x, expected, mask = draw(device, shape, SETTINGS, first_image=5, dtype=dtype)
    steps, first = upload(device, np.array([11])), upload(device, np.array([5]))
    held = upload_slice(device, x, *sides)
    drawn = unwritten(device, shape, np.uint8)
    device.primitives.dropout_forward(device, held, drawn, held, steps, first, SETTINGS)
    assert np.array_equal(device.download(held), expected)
    assert np.array_equal(device.download(drawn), mask)


def test_the_threshold_is_exact(device: Device) -> None:
    """A number equal to the threshold is kept; one step further it is dropped."""
    numbers = np.array([reference.number(i, 11, SETTINGS) >> 8 for i in range(40)])
    at = int(np.sort(numbers)[20])
    for threshold in (at, at + 1):
        _, _, mask = draw(device, (40, 1), replace(SETTINGS, p=threshold / 2**24))
        assert np.array_equal(mask[:, 0], numbers >= threshold)


@pytest.mark.parametrize("shape", [(6, 7), (6, 5, 3, 3), (4, 100, 30, 65)], ids=str)
def test_a_batch_in_two_parts_has_the_mask_of_the_whole(device: Device, shape: tuple[int, ...]) -> None:
    _, _, whole = draw(device, shape, SETTINGS)
    for cut in (1, 3):
        _, _, first = draw(device, (cut, *shape[1:]), SETTINGS)
        _, _, second = draw(device, (shape[0] - cut, *shape[1:]), SETTINGS, first_image=cut)
        assert np.array_equal(np.concatenate([first, second]), whole)


def test_an_image_that_is_cut_into_rows(device: Device) -> None:
    """One image of more elements than a piece: rows drawn apart join as the sequence of NumPy's generator."""
    shape = (2, 9, 250, 131)
    _, _, mask = draw(device, shape, SETTINGS)
    key, counter = np.array([SETTINGS.seed, 4], np.uint64), np.array([0, 11, SETTINGS.layer, 0], np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(-(-mask.size // 2))
    numbers = words.view("<u4")[: mask.size] >> 8
    assert np.array_equal(mask.ravel(), numbers >= SETTINGS.threshold)


def test_the_mask_does_not_depend_on_threads() -> None:
    masks = []
    for threads in (1, 3):
        device = open_cpu(threads)
        masks.append(draw(device, (5, 60, 40, 70), SETTINGS)[2])
        device.close()
    assert np.array_equal(*masks)


def test_step_layer_and_seed_change_the_mask(device: Device) -> None:
    base = draw(device, (10, 50), SETTINGS)[2]
    others = [
        draw(device, (10, 50), SETTINGS, step=12)[2],
        draw(device, (10, 50), replace(SETTINGS, layer=4))[2],
        draw(device, (10, 50), replace(SETTINGS, seed=1))[2],
    ]
    for other in others:
        assert 0.4 < (base == other).mean() < 0.65


def test_the_share_of_dropped_elements(device: Device) -> None:
    for p in (0.1, 0.5, 0.9):
        _, y, mask = draw(device, (100, 2000), replace(SETTINGS, p=p))
        assert (mask == 0).mean() == pytest.approx(p, abs=0.005)
        assert np.array_equal(y != 0, mask == 1)


def test_nothing_is_dropped_at_zero(device: Device) -> None:
    x, y, mask = draw(device, (3, 50), replace(SETTINGS, p=0.0))
    assert mask.all()
    assert np.array_equal(x, y)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 5, 6), (2, 1, 3, 16)], ids=str)
@pytest.mark.parametrize("mode", ["inverted", "classic"])
def test_backward(device: Device, dtype: Any, shape: tuple[int, ...], mode: Any) -> None:
    settings = replace(SETTINGS, p=0.5, mode=mode)
    _, _, mask = draw(device, shape, settings, dtype=dtype)
    gradient, before = (np.random.default_rng(n).integers(-9, 9, shape).astype(dtype) for n in range(2))
    expected = mask * gradient * (2 if mode == "inverted" else 1)
    on_device = upload(device, mask)
    for accumulate in (False, True):
        gx = upload_slice(device, before)
        device.primitives.dropout_backward(device, gx, upload_slice(device, gradient), on_device, settings, accumulate)
        assert np.array_equal(device.download(gx), expected + accumulate * before)
    in_place = upload(device, gradient)
    device.primitives.dropout_backward(device, in_place, in_place, on_device, settings, False)
    assert np.array_equal(device.download(in_place), expected)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_what_is_dropped_is_zero_even_of_infinity(device: Device, dtype: Any) -> None:
    x = upload(device, np.full((4, 50), np.inf, dtype))
    mask = unwritten(device, (4, 50), np.uint8)
    zero = upload(device, np.array([0]))
    device.primitives.dropout_forward(device, x, mask, x, zero, zero, SETTINGS)
    assert np.array_equal(device.download(x), np.where(device.download(mask) == 1, np.inf, 0))
    assert not device.download(mask).all()


def test_shapes_that_differ_are_refused() -> None:
    with emulator(FAST) as device:
        x, mask = upload(device, np.zeros((2, 3), np.float32)), upload(device, np.zeros((2, 4), np.uint8))
        zero = upload(device, np.array([0]))
        with pytest.raises(UsageError, match=r"dropout_forward: .* mask \(2, 4\)"):
            device.primitives.dropout_forward(device, x, mask, x, zero, zero, SETTINGS)
        with pytest.raises(UsageError, match=r"dropout_backward: .* mask \(2, 4\)"):
            device.primitives.dropout_backward(device, x, x, mask, SETTINGS, False)
