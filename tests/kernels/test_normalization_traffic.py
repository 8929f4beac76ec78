"""What the normalising kernels move, from recorded addresses: every array once, in whole sectors, free of conflicts."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, LocalResponse, Normalization
from gpunn.backend.contract import Array, Device
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator.profile import Profile
from tests.backend.arrays import BFLOAT16, FLOAT32, reals, upload
from tests.backend.emulator.devices import recording_emulator

#: AlexNet's first channels, and a number that fills no block evenly.
SHAPES = ((2, 5, 5, 96), (2, 3, 7, 40))
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)


def arrays(device: Device, shape: tuple[int, ...], dtype: Any, count: int) -> list[Array]:
    return [upload(device, reals(seed, shape, dtype)) for seed in range(count)]


def normalize(device: CudaDevice, shape: tuple[int, ...], dtype: Any) -> None:
    y, x, gy, gx = arrays(device, shape, dtype, 4)
    ggamma, gbeta, mean, inverse, gamma, beta, *running = (
        upload(device, np.ones(shape[-1:], np.float32)) for _ in range(8)
    )
    primitives = device.primitives
    primitives.batch_norm_forward(device, y, mean, inverse, *running, x, gamma, beta, Normalization(), LINEAR)
    primitives.batch_norm_backward(device, gx, ggamma, gbeta, gy, x, mean, inverse, gamma, False, False)


def respond(device: CudaDevice, shape: tuple[int, ...], dtype: Any, n: int = 5) -> None:
    y, denominator, x, gy, gx = arrays(device, shape, dtype, 5)
    settings = LocalResponse(n=n)
    device.primitives.local_response_norm_forward(device, y, denominator, x, settings)
    device.primitives.local_response_norm_backward(device, gx, gy, x, y, denominator, settings, False)


def rectify(device: CudaDevice, shape: tuple[int, ...], dtype: Any) -> None:
    y, x, gy, gx = arrays(device, shape, dtype, 4)
    slope, gslope = (upload(device, np.ones(shape[-1:], np.float32)) for _ in range(2))
    device.primitives.parametric_relu_forward(device, y, x, slope)
    device.primitives.parametric_relu_backward(device, gx, gslope, gy, x, slope, False, False)


#: By kernel, the images it reads and those it writes.
MOVED = {
    normalize: {
        "column_moments": ({"x"}, set()),
        "normalize_columns": ({"x"}, {"y"}),
        "column_products": ({"gy", "x"}, set()),
        "columns_gradient": ({"gy", "x"}, {"gx"}),
    },
    respond: {
        "local_response_norm_forward": ({"x"}, {"y", "denominator"}),
        "local_response_norm_backward": ({"gy", "x", "y", "denominator"}, {"gx"}),
    },
    rectify: {"parametric_relu_forward": ({"x"}, {"y"}), "parametric_relu_backward": ({"gy", "x"}, {"gx"})},
}
each_call = pytest.mark.parametrize("call", MOVED, ids=lambda call: call.__name__)


def recorded(call: Any, shape: tuple[int, ...], dtype: Any) -> Profile:
    with recording_emulator() as (device, executor):
        call(device, shape, dtype)
        return executor.profile


@each_call
@each_shape
@each_dtype
def test_every_image_is_moved_once(call: Any, shape: tuple[int, ...], dtype: Any) -> None:
    profile = recorded(call, shape, dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    for kernel, (reads, writes) in MOVED[call].items():
        for name in reads:
            moved = profile.buffers[kernel, name]
            assert (moved.bytes_read, moved.bytes_written) == (size, 0)
            assert size <= moved.sector_bytes_read <= 1.25 * size
        for name in writes:
            moved = profile.buffers[kernel, name]
            assert (moved.bytes_read, moved.bytes_written) == (0, size)
            assert size <= moved.sector_bytes_written <= 1.25 * size


@each_shape
@each_dtype
def test_windows_cost_no_bank_conflicts(shape: tuple[int, ...], dtype: Any) -> None:
    """A window of one: longer ones read the same, each time at a distance that all lanes share.

    The lanes at a pixel's edge leave out what is not there, so that the recorder cannot tell which of their reads
    belong to one request.
    """
    profile = recorded(partial(respond, n=1), shape, dtype)
    for access, traffic in profile.at("local_response_norm.cu", "shared").items():
        assert traffic.wavefronts == traffic.ideal_wavefronts, access
