"""relu.cu against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, RELU, Activation
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import UsageError
from tests.backend.arrays import reals, unwritten, upload, upload_slice

SHAPES = [(1,), (257,), (3, 10), (2, 5, 3, 7), (1, 1, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_forward(every_way: CudaDevice, shape: tuple[int, ...]) -> None:
    x = reals(1, shape, np.float32)
    y = unwritten(every_way, shape, np.float32)
    every_way.primitives.activation_forward(every_way, y, upload(every_way, x), RELU)
    np.testing.assert_array_equal(every_way.download(y), np.where(x > 0, x, 0))


def test_forward_in_place(every_way: CudaDevice) -> None:
    x = reals(2, (2, 4, 4, 3), np.float32)
    held = upload(every_way, x)
    every_way.primitives.activation_forward(every_way, held, held, RELU)
    np.testing.assert_array_equal(every_way.download(held), np.where(x > 0, x, 0))


def test_forward_keeps_not_a_number(fast: CudaDevice) -> None:
    x = upload(fast, np.array([np.nan, np.inf, -np.inf], np.float32))
    fast.primitives.activation_forward(fast, x, x, RELU)
    np.testing.assert_array_equal(fast.download(x), [np.nan, np.inf, 0])


def test_forward_on_slices_of_channels(every_way: CudaDevice) -> None:
    x = reals(3, (2, 3, 5, 6), np.float32)
    for held, y in (
        (upload_slice(every_way, x), unwritten(every_way, x.shape, np.float32)),
        (upload(every_way, x), upload_slice(every_way, np.zeros_like(x))),
        (upload_slice(every_way, x), upload_slice(every_way, np.zeros_like(x), 1, 7)),
    ):
        every_way.primitives.activation_forward(every_way, y, held, RELU)
        np.testing.assert_array_equal(every_way.download(y), np.where(x > 0, x, 0))


def test_more_elements_than_the_grid_has_threads(fast: CudaDevice) -> None:
    x = reals(4, (4096 * 256 + 300,), np.float32)
    y = unwritten(fast, x.shape, np.float32)
    fast.primitives.activation_forward(fast, y, upload(fast, x), RELU)
    np.testing.assert_array_equal(fast.download(y), np.where(x > 0, x, 0))


def test_linear_copies(fast: CudaDevice) -> None:
    x = reals(5, (3, 4), np.float32)
    y = unwritten(fast, x.shape, np.float32)
    fast.primitives.activation_forward(fast, y, upload(fast, x), LINEAR)
    np.testing.assert_array_equal(fast.download(y), x)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("sliced", [False, True])
def test_backward(every_way: CudaDevice, accumulate: bool, sliced: bool) -> None:
    y, gy, before = (reals(seed, (3, 4, 2, 5), np.float32) for seed in (6, 7, 8))
    y = np.where(y > 0, y, 0)
    place = upload_slice if sliced else upload
    gx = place(every_way, before if accumulate else np.full_like(before, np.nan))
    every_way.primitives.activation_backward(
        every_way, gx, place(every_way, gy), upload(every_way, y), RELU, accumulate
    )
    passed = np.where(y > 0, gy, 0)
    np.testing.assert_array_equal(every_way.download(gx), before + passed if accumulate else passed)


def test_backward_in_place(every_way: CudaDevice) -> None:
    y, gy = reals(9, (300,), np.float32), reals(10, (300,), np.float32)
    held = upload(every_way, gy)
    every_way.primitives.activation_backward(every_way, held, held, upload(every_way, y), RELU, False)
    np.testing.assert_array_equal(every_way.download(held), np.where(y > 0, gy, 0))


def test_what_has_no_kernel_is_refused(fast: CudaDevice) -> None:
    x = upload(fast, np.zeros(3, np.float32))
    with pytest.raises(UsageError, match="'elu' yet"):
        fast.primitives.activation_forward(fast, x, x, Activation("elu"))
    with pytest.raises(UsageError, match="'tanh' yet"):
        fast.primitives.activation_backward(fast, x, x, x, Activation("tanh"), False)
    with pytest.raises(UsageError, match=r"one shape, got y \(3,\), x \(2,\)"):
        fast.primitives.activation_forward(fast, x, x[:2], RELU)
