"""The emulator as a whole device: its own kernels, and the CPU's functions on its arrays."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, Activation, Arithmetic
from gpunn.backend.contract import Device, Primitives
from gpunn.backend.cpu.device import open_cpu
from gpunn.backend.cuda import activation, convolution, optimizer
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator import open_emulator
from gpunn.geometry import Conv2dGeometry, Padding, Pool2dGeometry
from tests.backend.arrays import Host, integers, reals, unwritten, upload, upload_slice, workspace

ARITHMETIC = Arithmetic("float32")
NAMES = [name for name, _ in inspect.getmembers(Primitives, inspect.isfunction) if not name.startswith("_")]
GEOMETRY = Conv2dGeometry(3, 5, 4, 6, 8, 3, 3, padding=Padding(1, 1, 1, 1))


@pytest.fixture(scope="module")
def emulator() -> Iterator[CudaDevice]:
    device = open_emulator(check=True)
    yield device
    device.close()


@pytest.fixture(scope="module")
def processor() -> Iterator[Device]:
    device = open_cpu(1)
    yield device
    device.close()


def test_every_primitive_of_the_contract_is_there(emulator: CudaDevice) -> None:
    for name in NAMES:
        assert callable(getattr(emulator.primitives, name))


@pytest.mark.parametrize("module", [activation, convolution, optimizer])
def test_own_functions_have_the_signatures_of_the_contract(module: object) -> None:
    own = [name for name in NAMES if hasattr(module, name)]
    assert own
    for name in own:
        of_contract = list(inspect.signature(getattr(Primitives, name)).parameters)[1:]
        assert list(inspect.signature(getattr(module, name)).parameters) == of_contract


def test_images_are_row_by_row(emulator: CudaDevice) -> None:
    x = upload(emulator, reals(1, (2, 3, 4, 5), np.float32))
    assert x.flags.c_contiguous
    assert x.ctypes.data % 256 == 0
    assert emulator.size_of((3, 5), np.dtype(np.float32), "images") == 256


def backward_filter(device: Device, x: Host, gy: Host) -> tuple[Host, Host]:
    gw = unwritten(device, GEOMETRY.filter_shape, np.float32, "plain")
    gbias = unwritten(device, (GEOMETRY.K,), np.float32)
    size = device.primitives.convolution2d_backward_filter_workspace(device, GEOMETRY, np.dtype(np.float32), ARITHMETIC)
    device.primitives.convolution2d_backward_filter(
        device,
        gw,
        gbias,
        upload_slice(device, x),
        upload(device, gy),
        GEOMETRY,
        False,
        ARITHMETIC,
        workspace(device, size),
    )
    return device.download(gw), device.download(gbias)


def test_borrowed_convolution(emulator: CudaDevice, processor: Device) -> None:
    x, gy = integers(2, GEOMETRY.input_shape, np.float32), integers(3, GEOMETRY.output_shape, np.float32)
    for own, cpus in zip(backward_filter(emulator, x, gy), backward_filter(processor, x, gy), strict=True):
        np.testing.assert_array_equal(own, cpus)


def backward_data(device: Device, gy: Host, w: Host, before: Host) -> Host:
    gx = upload(device, before)
    size = device.primitives.convolution2d_backward_data_workspace(device, GEOMETRY, np.dtype(np.float32), ARITHMETIC)
    device.primitives.convolution2d_backward_data(
        device,
        gx,
        upload(device, gy),
        upload(device, w, "plain"),
        None,
        GEOMETRY,
        LINEAR,
        True,
        ARITHMETIC,
        workspace(device, size),
    )
    return device.download(gx)


def test_borrowed_accumulation_into_images(emulator: CudaDevice, processor: Device) -> None:
    gy, w = integers(4, GEOMETRY.output_shape, np.float32), integers(5, GEOMETRY.filter_shape, np.float32)
    before = integers(6, GEOMETRY.input_shape, np.float32)
    own = backward_data(emulator, gy, w, before)
    np.testing.assert_array_equal(own, backward_data(processor, gy, w, before))
    assert not np.array_equal(own, before)


def test_borrowed_output_in_a_slice(emulator: CudaDevice) -> None:
    x = reals(7, (2, 4, 4, 3), np.float32)
    geometry = Pool2dGeometry(2, 4, 4, 3, 4, 4)
    wide = unwritten(emulator, (2, 1, 1, 7), np.float32)
    emulator.primitives.maximum_pool2d_forward(emulator, wide[..., 2:5], None, upload(emulator, x), geometry)
    np.testing.assert_array_equal(wide[:, 0, 0, 2:5], x.max(axis=(1, 2)))
    assert np.isnan(wide).sum() == 2 * 4


def test_borrowed_list_of_images(emulator: CudaDevice) -> None:
    xs = [reals(seed, (2, 3, 3, channels), np.float32) for seed, channels in ((8, 1), (9, 4))]
    y = unwritten(emulator, (2, 3, 3, 5), np.float32)
    emulator.primitives.concatenate_forward(emulator, y, [upload(emulator, x) for x in xs])
    np.testing.assert_array_equal(emulator.download(y), np.concatenate(xs, axis=3))


def test_borrowed_operation_in_place(emulator: CudaDevice) -> None:
    x = reals(10, (2, 3, 4, 5), np.float32)
    held = upload(emulator, x)
    emulator.primitives.scale(emulator, held, held, 2.0, False)
    np.testing.assert_array_equal(emulator.download(held), 2 * x)


def test_borrowed_flatten_keeps_the_logical_order(emulator: CudaDevice) -> None:
    x = reals(11, (3, 2, 4, 5), np.float32)
    y = unwritten(emulator, (3, 40), np.float32)
    emulator.primitives.flatten_forward(emulator, y, upload(emulator, x))
    np.testing.assert_array_equal(emulator.download(y), x.reshape(3, 40))


def test_convolution_ends_with_an_activation_that_is_borrowed(emulator: CudaDevice) -> None:
    x, w = reals(14, GEOMETRY.input_shape, np.float32), reals(15, GEOMETRY.filter_shape, np.float32)
    results = []
    for function in (LINEAR, Activation("tanh")):
        y = unwritten(emulator, GEOMETRY.output_shape, np.float32)
        held = upload(emulator, x), upload(emulator, w, "plain")
        size = emulator.primitives.convolution2d_forward_workspace(emulator, GEOMETRY, np.dtype(np.float32), ARITHMETIC)
        emulator.primitives.convolution2d_forward(
            emulator, y, *held, None, GEOMETRY, function, ARITHMETIC, workspace(emulator, size)
        )
        results.append(emulator.download(y))
    np.testing.assert_allclose(results[1], np.tanh(results[0]), rtol=1e-6)
