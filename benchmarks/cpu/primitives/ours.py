"""gpunn's call of each case, on arrays of its own that live as long as the call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.cpu.primitives.cases import Case
from gpunn.backend.attributes import RELU, AdamRule, LocalResponse, Normalization, SgdRule
from gpunn.backend.contract import DType
from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Shape

FLOAT32 = np.dtype(np.float32)


def our_call(device: CpuDevice, case: Case) -> Callable[[], None]:
    """What runs the case once."""
    arrays = _Arrays(device)
    if case.pooling is not None:
        return _pooling(device, case, arrays)
    if case.segments is not None:
        return _optimizer(device, case, arrays)
    if len(case.shape) == 2:
        return _scores(device, case, arrays)
    return _images(device, case, arrays)


class _Arrays:
    """Random numbers in the device's memory order."""

    def __init__(self, device: CpuDevice) -> None:
        self._device = device
        self._draw = np.random.default_rng(0)

    def images(self, shape: Shape, dtype: DType = FLOAT32) -> np.ndarray:
        memory = self._device.allocate(self._device.size_of(shape, dtype, "images"))
        images = self._device.view(memory, 0, shape, dtype, "images")
        if dtype == FLOAT32:
            self._device.upload(images, self._draw.standard_normal(shape, np.float32))
        return images

    def flat(self, *shape: int) -> np.ndarray:
        memory = self._device.allocate(self._device.size_of(shape, FLOAT32, "plain"))
        array = self._device.view(memory, 0, shape, FLOAT32, "plain")
        # Not below zero, since roots are taken of some.
        self._device.upload(array, self._draw.random(shape, np.float32))
        return array


def _pooling(device: CpuDevice, case: Case, arrays: _Arrays) -> Callable[[], None]:
    run, geometry = device.primitives, case.pooling
    assert geometry is not None
    x, gx = arrays.images(geometry.input_shape), arrays.images(geometry.input_shape)
    y = arrays.images(geometry.output_shape)
    places = arrays.images(geometry.output_shape, np.dtype(np.uint8))
    run.maximum_pool2d_forward(device, y, places, x, geometry)
    calls: dict[str, Callable[[], None]] = {
        "max pool forward": lambda: run.maximum_pool2d_forward(device, y, places, x, geometry),
        "max pool inference": lambda: run.maximum_pool2d_forward(device, y, None, x, geometry),
        "max pool backward": lambda: run.maximum_pool2d_backward(device, gx, y, places, geometry, False),
        "mean pool forward": lambda: run.mean_pool2d_forward(device, y, x, geometry),
        "mean pool backward": lambda: run.mean_pool2d_backward(device, gx, y, geometry, False),
    }
    return calls[case.operation]


def _images(device: CpuDevice, case: Case, arrays: _Arrays) -> Callable[[], None]:
    run, C = device.primitives, case.shape[-1]
    x, y, gy = (arrays.images(case.shape) for _ in range(3))
    mean, inverse, running_mean, running_variance, gamma, beta, ggamma, gbeta = (arrays.flat(C) for _ in range(8))
    norm, response = Normalization(), LocalResponse()
    running = (running_mean, running_variance)
    match case.operation:
        case "batch norm backward":
            run.batch_norm_forward(device, y, mean, inverse, *running, x, gamma, beta, norm, RELU)
        case "local response backward":
            denominator = arrays.images(case.shape)
            run.local_response_norm_forward(device, y, denominator, x, response)
            gx = arrays.images(case.shape)
            return lambda: run.local_response_norm_backward(device, gx, gy, x, y, denominator, response, False)
        case "local response forward":
            return lambda: run.local_response_norm_forward(device, y, gy, x, response)
    calls: dict[str, Callable[[], None]] = {
        "batch norm + relu forward": lambda: run.batch_norm_forward(
            device, y, mean, inverse, *running, x, gamma, beta, norm, RELU
        ),
        "batch norm + relu inference": lambda: run.batch_norm_inference(
            device, y, x, *running, gamma, beta, norm, RELU
        ),
        "batch norm backward": lambda: run.batch_norm_backward(
            device, y, ggamma, gbeta, gy, x, mean, inverse, gamma, False, False
        ),
        "relu forward": lambda: run.activation_forward(device, y, x, RELU),
        "relu backward": lambda: run.activation_backward(device, y, gy, x, RELU, False),
    }
    return calls[case.operation]


def _scores(device: CpuDevice, case: Case, arrays: _Arrays) -> Callable[[], None]:
    run, (N, K) = device.primitives, case.shape
    logits, gradient, loss = arrays.flat(N, K), arrays.flat(N, K), arrays.flat(N)
    ranks, labels, scale = np.zeros(N, np.int32), np.arange(N, dtype=np.int32) % K, np.ones(1, np.float32)
    if case.operation == "softmax":
        return lambda: run.softmax_forward(device, gradient, logits)
    return lambda: run.softmax_cross_entropy(device, loss, gradient, ranks, logits, labels, scale, 0.0, 1 / N, False)


def _optimizer(device: CpuDevice, case: Case, arrays: _Arrays) -> Callable[[], None]:
    run, segments = device.primitives, case.segments
    assert segments is not None
    w, g, first, second = (arrays.flat(segments.size) for _ in range(4))
    rate, scale, step, apply = np.float32([1e-9]), np.ones(1, np.float32), np.zeros(1, np.int64), np.ones(1, np.int32)
    if case.operation == "adam":
        adam = AdamRule()
        return lambda: run.adam(device, w, None, first, second, g, rate, scale, step, apply, segments, adam)
    sgd = SgdRule(0.9)
    return lambda: run.sgd(device, w, None, first, g, rate, scale, step, apply, segments, sgd)
