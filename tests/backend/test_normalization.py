"""Batch norm and group norm against float64 formulas and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, RELU, Activation, Normalization
from gpunn.backend.contract import Array, Device
from tests.backend.arrays import Host, unwritten, upload, upload_slice
from tests.cases.normalization import NORMALIZATIONS
from tests.reference import normalization as reference
from tests.reference.activation import activation as activation_of
from tests.reference.finite_differences import gradient

EPS = 1e-5
SETTINGS = Normalization(eps=EPS, momentum=0.1)
each_case = pytest.mark.parametrize(("shape", "groups"), NORMALIZATIONS.values(), ids=NORMALIZATIONS.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_kind = pytest.mark.parametrize("kind", ["batch", "group"])


def reals(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    return (np.random.default_rng(seed).standard_normal(shape) + 0.5).astype(dtype)


class Norm:
    """One normalisation with its parameters on a device; `groups` None means batch norm."""

    def __init__(self, device: Device, gamma: Host, beta: Host, groups: int | None) -> None:
        self.device, self.groups = device, groups
        self.gamma, self.beta = upload(device, gamma), upload(device, beta)
        self.running_mean = upload(device, np.zeros_like(gamma))
        self.running_variance = upload(device, np.ones_like(gamma))

    def forward(self, y: Array, x: Array, activation: Activation = LINEAR) -> tuple[Array, Array]:
        """Writes y, returns the saved mean and inverse deviation."""
        shape = self.gamma.shape if self.groups is None else (x.shape[0], self.groups)
        saved = unwritten(self.device, shape, x.dtype), unwritten(self.device, shape, x.dtype)
        if self.groups is None:
            running = self.running_mean, self.running_variance
            self.device.primitives.batch_norm_forward(
                self.device, y, *saved, *running, x, self.gamma, self.beta, SETTINGS, activation
            )
        else:
            self.device.primitives.group_norm_forward(
                self.device, y, *saved, x, self.gamma, self.beta, self.groups, EPS
            )
        return saved

    def output(self, x: Array) -> Host:
        y = unwritten(self.device, x.shape, x.dtype)
        self.forward(y, x)
        return self.device.download(y)

    def backward(
        self, gx: Array | None, ggamma: Array, gbeta: Array, gy: Array, x: Array, accumulate: bool, parameters: bool
    ) -> None:
        saved = self.forward(unwritten(self.device, x.shape, x.dtype), x)
        if self.groups is None:
            self.device.primitives.batch_norm_backward(
                self.device, gx, ggamma, gbeta, gy, x, *saved, self.gamma, accumulate, parameters
            )
        else:
            self.device.primitives.group_norm_backward(
                self.device, gx, ggamma, gbeta, gy, x, *saved, self.gamma, self.groups, accumulate, parameters
            )

    def gradients(self, gy: Array, x: Array) -> tuple[Host, Host, Host]:
        gx = unwritten(self.device, x.shape, x.dtype)
        ggamma, gbeta = (unwritten(self.device, self.gamma.shape, x.dtype) for _ in range(2))
        self.backward(gx, ggamma, gbeta, gy, x, False, False)
        return self.device.download(gx), self.device.download(ggamma), self.device.download(gbeta)


def make(device: Device, kind: str, shape: tuple[int, ...], groups: int, dtype: Any) -> tuple[Norm, Host, Host]:
    gamma, beta = reals(1, shape[-1:], dtype), reals(2, shape[-1:], dtype)
    return Norm(device, gamma, beta, groups if kind == "group" else None), gamma, beta


@each_case
@each_dtype
@each_kind
def test_forward(device: Device, kind: str, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, gamma, beta = make(device, kind, shape, groups, dtype)
    x = reals(3, shape, dtype)
    expected = reference.forward(x, gamma, beta, EPS, norm.groups)
    bound = 60 * np.finfo(dtype).eps
    for held in (upload(device, x), upload_slice(device, x)):
        np.testing.assert_allclose(norm.output(held), expected, rtol=bound, atol=bound)


@each_case
@each_dtype
@each_kind
def test_saved_statistics(device: Device, kind: str, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, _, _ = make(device, kind, shape, groups, dtype)
    x = reals(3, shape, dtype)
    mean, inverse = norm.forward(unwritten(device, shape, dtype), upload(device, x))
    expected_mean, variance = reference.statistics(x, norm.groups)
    bound = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(device.download(mean).ravel(), expected_mean, rtol=bound, atol=bound)
    np.testing.assert_allclose(device.download(inverse).ravel(), 1 / np.sqrt(variance + EPS), rtol=bound)


@each_case
@each_dtype
def test_running_statistics(device: Device, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, _, _ = make(device, "batch", shape, groups, dtype)
    mean, variance = np.zeros(shape[-1]), np.ones(shape[-1])
    count = int(np.prod(shape[:-1]))
    for seed in (4, 5):
        x = reals(seed, shape, dtype)
        norm.forward(unwritten(device, shape, dtype), upload(device, x))
        batch_mean, batch_variance = reference.statistics(x)
        mean = 0.9 * mean + 0.1 * batch_mean
        variance = 0.9 * variance + 0.1 * batch_variance * count / (count - 1)
    rtol = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(device.download(norm.running_mean), mean, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(device.download(norm.running_variance), variance, rtol=rtol)


@each_dtype
def test_a_single_element_a_channel_is_finite(device: Device, dtype: Any) -> None:
    norm, _, beta = make(device, "batch", (1, 3), 1, dtype)
    np.testing.assert_array_equal(norm.output(upload(device, reals(6, (1, 3), dtype))), beta[np.newaxis])
    np.testing.assert_allclose(device.download(norm.running_variance), [0.9, 0.9, 0.9], rtol=1e-6)


@each_case
@each_dtype
def test_inference(device: Device, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, gamma, beta = make(device, "batch", shape, groups, dtype)
    x, mean, variance = reals(7, shape, dtype), reals(8, shape[-1:], dtype), reals(9, shape[-1:], dtype) ** 2
    y = unwritten(device, shape, dtype)
    device.primitives.batch_norm_inference(
        device,
        y,
        upload(device, x),
        upload(device, mean),
        upload(device, variance),
        norm.gamma,
        norm.beta,
        SETTINGS,
        RELU,
    )
    wide = [array.astype(np.float64) for array in (x, mean, variance, gamma, beta)]
    expected = np.maximum((wide[0] - wide[1]) / np.sqrt(wide[2] + EPS) * wide[3] + wide[4], 0)
    bound = 60 * np.finfo(dtype).eps
    np.testing.assert_allclose(device.download(y), expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("function", [RELU, Activation("leaky_relu", 0.1), Activation("sigmoid")], ids=lambda f: f.name)
@pytest.mark.parametrize("in_place", [False, True])
def test_fused_activation(device: Device, function: Activation, in_place: bool) -> None:
    shape = (3, 4, 5, 6)
    norm, gamma, beta = make(device, "batch", shape, 1, np.float64)
    x = reals(10, shape, np.float64)
    held = upload(device, x)
    y = held if in_place else upload_slice(device, np.zeros(shape))
    norm.forward(y, held, function)
    expected = np.vectorize(lambda value: activation_of(function, value))(reference.forward(x, gamma, beta, EPS))
    np.testing.assert_allclose(device.download(y), expected, rtol=1e-12, atol=1e-12)


@each_case
@each_kind
def test_gradients_by_finite_differences(device: Device, kind: str, shape: tuple[int, ...], groups: int) -> None:
    norm, gamma, beta = make(device, kind, shape, groups, np.float64)
    x, gy = reals(11, shape, np.float64), reals(12, shape, np.float64)
    held = upload(device, x)

    def loss(moved: Host, gamma: Host, beta: Host) -> float:
        moved_norm = Norm(device, gamma, beta, norm.groups)
        return float((gy * moved_norm.output(upload(device, moved))).sum())

    gx, ggamma, gbeta = norm.gradients(upload(device, gy), held)
    for analytic, numeric in (
        (gx, gradient(lambda moved: loss(moved, gamma, beta), x, width=1e-4)),
        (ggamma, gradient(lambda moved: loss(x, moved, beta), gamma)),
        (gbeta, gradient(lambda moved: loss(x, gamma, moved), beta)),
    ):
        np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-6 * np.abs(numeric).max() + 1e-9)


@each_kind
@each_dtype
def test_accumulated_gradients(device: Device, kind: str, dtype: Any) -> None:
    shape, groups = NORMALIZATIONS["images"]
    norm, _, _ = make(device, kind, shape, groups, dtype)
    x, gy = upload(device, reals(11, shape, dtype)), upload(device, reals(12, shape, dtype))
    plain = norm.gradients(gy, x)
    before = reals(13, shape, dtype), reals(14, shape[-1:], dtype), reals(15, shape[-1:], dtype)
    rtol = 8 * np.finfo(dtype).eps
    for to_images, to_parameters in ((True, True), (True, False), (False, True)):
        gx, ggamma, gbeta = (upload(device, array) for array in before)
        norm.backward(gx, ggamma, gbeta, gy, x, to_images, to_parameters)
        for result, start, change, added in zip(
            (gx, ggamma, gbeta), before, plain, (to_images, to_parameters, to_parameters), strict=True
        ):
            expected = start + change if added else change
            np.testing.assert_allclose(device.download(result), expected, rtol=rtol, atol=40 * rtol)


@each_kind
def test_gradients_in_place_through_slices_and_without_inputs(device: Device, kind: str) -> None:
    shape, groups = NORMALIZATIONS["images"]
    norm, _, _ = make(device, kind, shape, groups, np.float64)
    x, gy = reals(16, shape, np.float64), reals(17, shape, np.float64)
    expected = norm.gradients(upload(device, gy), upload(device, x))
    for put in (upload, upload_slice):
        gradients = put(device, gy)
        ggamma, gbeta = (unwritten(device, shape[-1:], np.float64) for _ in range(2))
        norm.backward(None, ggamma, gbeta, gradients, put(device, x), False, False)
        norm.backward(gradients, ggamma, gbeta, gradients, put(device, x), False, False)
        for result, value in zip((gradients, ggamma, gbeta), expected, strict=True):
            np.testing.assert_allclose(device.download(result), value, rtol=1e-12, atol=1e-12)


@each_kind
def test_small_variance_beside_a_large_mean(device: Device, kind: str) -> None:
    """In float32, the mean of the squares minus the square of the mean would be all rounding here."""
    shape = (8, 16, 16, 4)
    x = (1000 + 0.01 * np.random.default_rng(18).standard_normal(shape)).astype(np.float32)
    norm = Norm(device, np.ones(4, np.float32), np.zeros(4, np.float32), 2 if kind == "group" else None)
    expected = reference.normalized(x, EPS, norm.groups)
    np.testing.assert_allclose(norm.output(upload(device, x)), expected, rtol=1e-5, atol=1e-5)


@each_kind
def test_large_layers_equal_their_small_repetition(device: Device, kind: str) -> None:
    """Blocks and threads: a large batch that repeats a small one has its statistics, and the sums of its gradients."""
    shape, repeats, groups = (3, 12, 14, 48), 24, 4
    norm, gamma, beta = make(device, kind, shape, groups, np.float32)
    x, gy = reals(19, shape, np.float32), reals(20, shape, np.float32)
    large_x, large_gy = (upload(device, np.tile(array, (repeats, 1, 1, 1))) for array in (x, gy))
    expected = np.tile(reference.forward(x, gamma, beta, EPS, norm.groups), (repeats, 1, 1, 1))
    np.testing.assert_allclose(norm.output(large_x), expected, rtol=1e-5, atol=1e-5)
    gx, ggamma, gbeta = norm.gradients(large_gy, large_x)
    exact, _, _ = make(device, kind, shape, groups, np.float64)
    wide = [upload(device, array.astype(np.float64)) for array in (gy, x)]
    exact.gamma = upload(device, gamma.astype(np.float64))
    small = exact.gradients(*wide)
    np.testing.assert_allclose(gx, np.tile(small[0], (repeats, 1, 1, 1)), rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(ggamma, repeats * small[1], rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(gbeta, repeats * small[2], rtol=1e-5, atol=1e-2)


@each_kind
def test_infinite_inputs_pass_silently(device: Device, kind: str) -> None:
    shape, groups = NORMALIZATIONS["images"]
    norm, _, _ = make(device, kind, shape, groups, np.float32)
    x = reals(21, shape, np.float32)
    x[0, 0, 0, 0] = np.inf
    assert np.isnan(norm.output(upload(device, x))[0, ..., 0]).all()
