"""What activations, dropout and the losses move, from recorded addresses: every array once, in whole sectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import RELU, Activation, Dropout
from gpunn.backend.contract import Array, Device
from gpunn.backend.emulator.profile import BufferTraffic
from tests.backend.arrays import BFLOAT16, FLOAT32, Host, reals, unwritten, upload
from tests.backend.emulator.devices import recording_emulator

#: Whole vectors of every type, in more of them than a block has threads, and in fewer.
SHAPES = ((2, 5, 7, 48), (3, 64))
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)


def arrays(device: Device, shape: tuple[int, ...], dtype: Any, count: int) -> list[Array]:
    return [upload(device, reals(seed, shape, dtype)) for seed in range(count)]


def require_once(moved: BufferTraffic, array: Host, is_written: bool) -> None:
    """Each byte of the array is read, or written; sectors exceed them by a quarter at most."""
    read, written = (0, array.nbytes) if is_written else (array.nbytes, 0)
    assert (moved.bytes_read, moved.bytes_written) == (read, written)
    sectors = moved.sector_bytes_written if is_written else moved.sector_bytes_read
    assert array.nbytes <= sectors <= 1.25 * array.nbytes


@each_shape
@each_dtype
@pytest.mark.parametrize("function", [RELU, Activation("tanh")], ids=str)
def test_activations(function: Activation, shape: tuple[int, ...], dtype: Any) -> None:
    with recording_emulator() as (device, executor):
        y, x, gy, gx = arrays(device, shape, dtype, 4)
        device.primitives.activation_forward(device, y, x, function)
        device.primitives.activation_backward(device, gx, gy, y, function, False)
        moved = executor.profile.buffers
    name = "relu" if function == RELU else "activation"
    require_once(moved[f"{name}_forward", "x"], x, False)
    require_once(moved[f"{name}_forward", "y"], y, True)
    require_once(moved[f"{name}_backward", "saved"], y, False)
    require_once(moved[f"{name}_backward", "gy"], gy, False)
    require_once(moved[f"{name}_backward", "gx"], gx, True)


@each_shape
def test_dropout(shape: tuple[int, ...]) -> None:
    """In 16 bits, where eight numbers are one access."""
    with recording_emulator() as (device, executor):
        y, x, gy, gx = arrays(device, shape, BFLOAT16, 4)
        mask, zero = unwritten(device, shape, np.uint8), upload(device, np.zeros(1, np.int64))
        settings = Dropout(0.5, "inverted", 1, 0)
        device.primitives.dropout_forward(device, y, mask, x, zero, zero, settings)
        device.primitives.dropout_backward(device, gx, gy, mask, settings, False)
        moved = executor.profile.buffers
    require_once(moved["dropout_forward", "x"], x, False)
    require_once(moved["dropout_forward", "y"], y, True)
    require_once(moved["dropout_forward", "mask"], mask, True)
    require_once(moved["dropout_backward", "gy"], gy, False)
    require_once(moved["dropout_backward", "mask"], mask, False)
    require_once(moved["dropout_backward", "gx"], gx, True)


def cross_entropy(device: Device, gradient: Array, logits: Array) -> None:
    loss, ranks = unwritten(device, logits.shape[:1], np.float32), unwritten(device, logits.shape[:1], np.int32)
    labels, scale = upload(device, np.zeros(len(logits), np.int32)), upload(device, np.ones(1))
    device.primitives.softmax_cross_entropy(device, loss, gradient, ranks, logits, labels, scale, 0.0, 1.0, False)


@each_dtype
@pytest.mark.parametrize("classes", [1000, 16])
def test_cross_entropy(classes: int, dtype: Any) -> None:
    """Each pass over a row takes whole sectors: the largest, the sum, the rank and the gradient, in cache after it."""
    passes = 4
    with recording_emulator() as (device, executor):
        (logits,), (gradient,) = arrays(device, (5, classes), FLOAT32, 1), arrays(device, (5, classes), dtype, 1)
        cross_entropy(device, gradient, logits)
        moved = executor.profile.buffers["softmax_cross_entropy", "logits"]
        require_once(executor.profile.buffers["softmax_cross_entropy", "gradient"], gradient, True)
    assert moved.bytes_read == logits.nbytes
    # Every warp also reads the first score of its row, and that of the label for the rank and for the loss.
    warps, sector = -(-classes // 128), 32
    assert moved.sector_bytes_read <= 1.25 * passes * logits.nbytes + 3 * len(logits) * warps * sector


@each_dtype
@pytest.mark.parametrize("mirror", [0, 1])
def test_pictures(mirror: int, dtype: Any) -> None:
    """Numbers are written 16 bytes at a time; eight bytes of a thread lie together, in any order."""
    with recording_emulator() as (device, executor):
        y, images = unwritten(device, (2, 5, 16, 3), dtype), upload(device, np.zeros((2, 5, 16, 3), np.uint8))
        placement = upload(device, np.array([(0, 0, mirror)] * 2, np.int32))
        mean, deviation = upload(device, np.zeros(3)), upload(device, np.ones(3))
        device.primitives.normalize_images(device, y, images, placement, mean, deviation)
        moved = executor.profile.buffers
        stores = executor.profile.at("normalize_images.cu", "global", "write")
    require_once(moved["normalize_images", "y"], y, True)
    assert moved["normalize_images", "images"].bytes_read == images.nbytes
    assert {access.bytes for access in stores} == {16}
