"""convolution2d_forward.cu against float64 loops."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, RELU, Activation
from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import UsageError
from gpunn.geometry import Conv2dGeometry, Padding, Pair
from tests.backend.arrays import Host, integers, reals, unwritten, upload, upload_slice, workspace
from tests.cases.convolution import CONVOLUTIONS
from tests.reference import convolution as reference

SAME = Padding(1, 1, 1, 1)
#: Around the tile of 64 pixels, 64 filters and 16 taps.
TILES = {
    "exactly one tile": Conv2dGeometry(1, 8, 8, 16, 64, 1, 1),
    "one pixel more than a tile": Conv2dGeometry(1, 5, 13, 4, 3, 1, 1),
    "one filter and one tap more than a tile": Conv2dGeometry(1, 4, 4, 17, 65, 1, 1),
    "several tiles of filters in two groups": Conv2dGeometry(2, 5, 7, 6, 140, 3, 3, padding=SAME, groups=2),
}
WITH_EVERY_FEATURE = Conv2dGeometry(3, 9, 8, 6, 70, 4, 3, Pair(2, 3), Padding(3, 1, 0, 4), Pair(2, 1), groups=2)
#: Small enough for the check build.
CHECKED = ["one of everything", "1x1 with padding", "3x3 same, three channels", "window of the whole image"]
CHECKED += ["window much larger than the image", "stride above the image", "dilation 2, stride 3", "1x1 map"]
CHECKED += ["a group for each channel, two filters each", "3x3, one channel", "stride above the window"]


def run(
    device: CudaDevice, geometry: Conv2dGeometry, x: Array, w: Host, bias: Host | None, function: Activation, y: Array
) -> Host:
    scratch = workspace(device, device.primitives.convolution2d_forward_workspace(device, geometry, w.dtype))
    held = None if bias is None else upload(device, bias)
    device.primitives.convolution2d_forward(device, y, x, upload(device, w, "plain"), held, geometry, function, scratch)
    return device.download(y)


def expect_exact(device: CudaDevice, geometry: Conv2dGeometry) -> None:
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    bias = integers(3, (geometry.K,), np.float32)
    y = unwritten(device, geometry.output_shape, np.float32)
    result = run(device, geometry, upload(device, x), w, bias, LINEAR, y)
    np.testing.assert_array_equal(result, reference.forward(x, w, bias, geometry))


@pytest.mark.parametrize("geometry", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_integers_are_exact(fast: CudaDevice, geometry: Conv2dGeometry) -> None:
    expect_exact(fast, geometry)


@pytest.mark.parametrize("name", CHECKED)
def test_checks_find_nothing(check: CudaDevice, name: str) -> None:
    expect_exact(check, CONVOLUTIONS[name])


@pytest.mark.parametrize("geometry", TILES.values(), ids=TILES.keys())
def test_edges_of_tiles(every_way: CudaDevice, geometry: Conv2dGeometry) -> None:
    expect_exact(every_way, geometry)


def test_every_feature_at_once(every_way: CudaDevice) -> None:
    expect_exact(every_way, WITH_EVERY_FEATURE)


def test_channels_may_be_slices_of_wider_arrays(every_way: CudaDevice) -> None:
    geometry = WITH_EVERY_FEATURE
    x, w = integers(4, geometry.input_shape, np.float32), integers(5, geometry.filter_shape, np.float32)
    wide = unwritten(every_way, (*geometry.output_shape[:3], geometry.K + 5), np.float32)
    y = wide[..., 3 : 3 + geometry.K]
    result = run(every_way, geometry, upload_slice(every_way, x), w, None, LINEAR, y)
    np.testing.assert_array_equal(result, reference.forward(x, w, None, geometry))
    assert np.isnan(every_way.download(wide)).sum() == wide.size - y.size


def test_fused_relu(every_way: CudaDevice) -> None:
    geometry = WITH_EVERY_FEATURE
    x, w = integers(6, geometry.input_shape, np.float32), integers(7, geometry.filter_shape, np.float32)
    bias = integers(8, (geometry.K,), np.float32)
    y = unwritten(every_way, geometry.output_shape, np.float32)
    result = run(every_way, geometry, upload(every_way, x), w, bias, RELU, y)
    np.testing.assert_array_equal(result, np.maximum(reference.forward(x, w, bias, geometry), 0))


def test_not_a_number_passes_through_relu(fast: CudaDevice) -> None:
    geometry = Conv2dGeometry(1, 2, 2, 1, 1, 1, 1)
    x = np.array([np.nan, -1, 0, 2], np.float32).reshape(geometry.input_shape)
    y = unwritten(fast, geometry.output_shape, np.float32)
    result = run(fast, geometry, upload(fast, x), np.ones(geometry.filter_shape, np.float32), None, RELU, y)
    np.testing.assert_array_equal(result.ravel(), [np.nan, 0, 0, 2])


def test_not_a_number_reaches_only_the_windows_that_hold_it(fast: CudaDevice) -> None:
    """Taps beyond the last one are filled with zeros on both sides: zero times NaN would spread it."""
    geometry = Conv2dGeometry(1, 6, 6, 1, 1, 2, 2)
    x = np.ones(geometry.input_shape, np.float32)
    x[0, 3, 3, 0] = np.nan
    w = np.ones(geometry.filter_shape, np.float32)
    y = unwritten(fast, geometry.output_shape, np.float32)
    expected = np.full((5, 5), 4.0)
    expected[2:4, 2:4] = np.nan
    np.testing.assert_array_equal(run(fast, geometry, upload(fast, x), w, None, LINEAR, y)[0, :, :, 0], expected)


def test_rounding_of_reals_stays_in_bounds(fast: CudaDevice) -> None:
    geometry = Conv2dGeometry(2, 9, 9, 24, 20, 3, 3, padding=SAME)
    x, w = reals(9, geometry.input_shape, np.float32), reals(10, geometry.filter_shape, np.float32)
    y = unwritten(fast, geometry.output_shape, np.float32)
    result = run(fast, geometry, upload(fast, x), w, None, LINEAR, y)
    # A sum of n products, each rounded once: n * u * sum |a| |b| (Higham, section 3.1).
    taps = 3 * 3 * 24
    bound = taps * 2.0**-24 * reference.forward(np.abs(x), np.abs(w), None, geometry)
    assert np.all(np.abs(result - reference.forward(x, w, None, geometry)) <= bound)


def test_result_does_not_depend_on_the_schedule(every_way: CudaDevice, fast: CudaDevice) -> None:
    geometry = WITH_EVERY_FEATURE
    x, w = reals(11, geometry.input_shape, np.float32), reals(12, geometry.filter_shape, np.float32)
    results = [
        run(device, geometry, upload(device, x), w, None, LINEAR, unwritten(device, geometry.output_shape, np.float32))
        for device in (every_way, fast)
    ]
    assert results[0].tobytes() == results[1].tobytes()


def test_wrong_shapes_and_activations_are_refused(fast: CudaDevice) -> None:
    geometry = Conv2dGeometry(1, 4, 4, 2, 3, 3, 3)
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    y = unwritten(fast, geometry.output_shape, np.float32)
    with pytest.raises(UsageError, match=r"y has shape \(1, 4, 4, 2\); the geometry wants \(1, 2, 2, 3\)"):
        run(fast, geometry, x, w, None, LINEAR, x)
    with pytest.raises(UsageError, match=r"bias has shape \(2,\)"):
        run(fast, geometry, x, w, np.zeros(2, np.float32), LINEAR, y)
    with pytest.raises(UsageError, match="no kernel for the activation 'tanh'"):
        run(fast, geometry, x, w, None, Activation("tanh"), y)
