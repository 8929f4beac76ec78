"""The convolution kernels on ordinary cores, each tile size on its own: what the choice among variants may hide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, RELU, Activation, Arithmetic
from gpunn.backend.cuda.convolution_kernels.simt import SIMT_BACKWARD_DATA, SIMT_BACKWARD_FILTER, SIMT_FORWARD
from gpunn.backend.cuda.convolution_kernels.variants import BackwardDataCall, BackwardFilterCall, ForwardCall, Problem
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import UsageError
from gpunn.geometry import Conv2dGeometry
from tests.backend.arrays import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    Host,
    integers,
    reals,
    unwritten,
    upload,
    upload_slice,
    workspace,
)
from tests.cases.convolution import TILES
from tests.reference import convolution as reference

VARIANTS = list(zip(SIMT_FORWARD, SIMT_BACKWARD_DATA, SIMT_BACKWARD_FILTER, strict=True))
each_tile = pytest.mark.parametrize("variants", VARIANTS, ids=[forward.name for forward, _, _ in VARIANTS])
each_geometry = pytest.mark.parametrize("geometry", TILES.values(), ids=TILES.keys())

IN_EVERY_WAY = ["everything uneven", "many filters, few pixels, stride 2", "many taps, few pixels"]


def problem(geometry: Conv2dGeometry, dtype: Any) -> Problem:
    return Problem(geometry, np.dtype(dtype), Arithmetic("float32"), 80)


def forward(device: CudaDevice, variant: Any, geometry: Conv2dGeometry, x: Host, w: Host, bias: Host) -> Host:
    """With ReLU."""
    asked = problem(geometry, x.dtype)
    y = unwritten(device, geometry.output_shape, x.dtype)
    scratch = workspace(device, variant.workspace(asked))
    variant.launch(
        device, ForwardCall(asked, y, upload(device, x), upload(device, w), upload(device, bias), True, scratch)
    )
    return device.download(y)


def backward_data(device: CudaDevice, variant: Any, geometry: Conv2dGeometry, gy: Host, w: Host, saved: Host) -> Host:
    """With the derivative of ReLU, to and from slices of channels."""
    asked = problem(geometry, gy.dtype)
    gx = upload_slice(device, np.full(geometry.input_shape, np.nan, gy.dtype))
    arrays = gx, upload_slice(device, gy), upload(device, w), upload_slice(device, saved, 1, 1)
    variant.launch(device, BackwardDataCall(asked, *arrays, False, workspace(device, variant.workspace(asked))))
    return device.download(gx)


def backward_filter(
    device: CudaDevice, variant: Any, geometry: Conv2dGeometry, x: Host, gy: Host, before: tuple[Host, Host]
) -> tuple[Host, Host]:
    """Added to what is there."""
    asked = problem(geometry, x.dtype)
    gw, gbias = (upload(device, array) for array in before)
    call = BackwardFilterCall(
        asked, gw, gbias, upload(device, x), upload(device, gy), True, workspace(device, variant.workspace(asked))
    )
    variant.launch(device, call)
    return device.download(gw), device.download(gbias)


def expect_exact(device: CudaDevice, variants: Any, geometry: Conv2dGeometry, dtype: Any) -> None:
    x, gy = integers(1, geometry.input_shape, dtype), integers(2, geometry.output_shape, dtype)
    w, bias = integers(3, geometry.filter_shape, dtype), integers(4, (geometry.K,), FLOAT32)
    before = integers(5, w.shape, FLOAT32), bias

    y = np.maximum(reference.forward(x, w, bias, geometry), 0).astype(dtype)
    np.testing.assert_array_equal(forward(device, variants[0], geometry, x, w, bias), y)
    gx = np.where(x > 0, reference.backward_data(gy, w, geometry), 0).astype(dtype)
    np.testing.assert_array_equal(backward_data(device, variants[1], geometry, gy, w, x), gx)
    gw, gbias = backward_filter(device, variants[2], geometry, x, gy, before)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry) + before[0])
    np.testing.assert_array_equal(gbias, gy.sum((0, 1, 2), dtype=np.float64) + bias)


@each_tile
@each_geometry
@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16, FLOAT16], ids=str)
def test_integers_are_exact(fast: CudaDevice, variants: Any, geometry: Conv2dGeometry, dtype: Any) -> None:
    expect_exact(fast, variants, geometry, dtype)


@each_tile
@each_geometry
def test_checks_find_nothing(check: CudaDevice, variants: Any, geometry: Conv2dGeometry) -> None:
    expect_exact(check, variants, geometry, FLOAT32)


@each_tile
@pytest.mark.parametrize("name", IN_EVERY_WAY)
def test_no_schedule_changes_a_bit(every_way: CudaDevice, fast: CudaDevice, variants: Any, name: str) -> None:
    geometry = TILES[name]
    x, gy = reals(1, geometry.input_shape, FLOAT32), reals(2, geometry.output_shape, FLOAT32)
    w, bias = reals(3, geometry.filter_shape, FLOAT32), reals(4, (geometry.K,), FLOAT32)
    results = [
        (
            forward(device, variants[0], geometry, x, w, bias),
            backward_data(device, variants[1], geometry, gy, w, x),
            *backward_filter(device, variants[2], geometry, x, gy, (w, bias)),
        )
        for device in (every_way, fast)
    ]
    for one, other in zip(*results, strict=True):
        assert one.tobytes() == other.tobytes()


def test_some_cases_are_split_and_some_are_not() -> None:
    """The lists would miss half of the kernels otherwise."""
    for column in zip(*VARIANTS, strict=True):
        for variant in column:
            needs = [variant.workspace(problem(geometry, FLOAT32)) for geometry in TILES.values()]
            assert any(needs)
            assert not all(needs)


@each_tile
def test_not_a_number_reaches_only_the_windows_that_hold_it(fast: CudaDevice, variants: Any) -> None:
    """Taps beyond the last one are filled with zeros on both sides: zero times NaN would spread it."""
    geometry = Conv2dGeometry(1, 6, 6, 1, 1, 2, 2)
    x = np.ones(geometry.input_shape, np.float32)
    x[0, 3, 3, 0] = np.nan
    w, bias = np.ones(geometry.filter_shape, np.float32), np.zeros(1, np.float32)
    expected = np.full((5, 5), 4.0)
    expected[2:4, 2:4] = np.nan
    np.testing.assert_array_equal(forward(fast, variants[0], geometry, x, w, bias)[0, :, :, 0], expected)


def test_wrong_shapes_and_derivatives_are_refused(fast: CudaDevice) -> None:
    geometry, float32 = Conv2dGeometry(1, 4, 4, 2, 3, 3, 3), Arithmetic("float32")
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    y, scratch = unwritten(fast, geometry.output_shape, FLOAT32), workspace(fast, 0)
    convolve, transpose = fast.primitives.convolution2d_forward, fast.primitives.convolution2d_backward_data
    with pytest.raises(UsageError, match=r"y has shape \(1, 4, 4, 2\); the geometry wants \(1, 2, 2, 3\)"):
        convolve(fast, x, x, w, None, geometry, LINEAR, float32, scratch)
    with pytest.raises(UsageError, match=r"bias has shape \(2,\)"):
        convolve(fast, y, x, w, np.zeros(2, np.float32), geometry, LINEAR, float32, scratch)
    with pytest.raises(UsageError, match="derivative of relu with accumulate=False and no saved array"):
        transpose(fast, x, y, w, None, geometry, RELU, False, float32, scratch)
    with pytest.raises(UsageError, match="derivative of tanh with accumulate=True and a saved array"):
        transpose(fast, x, y, w, x, geometry, Activation("tanh"), True, float32, scratch)
