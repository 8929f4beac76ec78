"""Batch norm and group norm against float64 formulas and finite differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.attributes import LINEAR, RELU, Activation, Normalization
from gpunn.backend.contract import Array, Device
from gpunn.backend.cpu.shared import blocks
from gpunn.backend.cpu.shared.rows import row_plan
from gpunn.backend.cuda.shared import normalization_passes
from gpunn.errors import UsageError
from tests.backend.arrays import FLOAT32, FLOAT64, FLOATS, Host, unwritten, upload, upload_slice
from tests.cases.normalization import LARGE_NORMALIZATIONS, NORMALIZATIONS
from tests.reference import normalization as reference
from tests.reference.activation import activation as activation_of
from tests.reference.finite_differences import gradient

EPS = 1e-5
SETTINGS = Normalization(eps=EPS, momentum=0.1)
ALL = NORMALIZATIONS | LARGE_NORMALIZATIONS
each_case = pytest.mark.parametrize(("shape", "groups"), ALL.values(), ids=ALL.keys())
each_small_case = pytest.mark.parametrize(("shape", "groups"), NORMALIZATIONS.values(), ids=NORMALIZATIONS.keys())
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)
each_kind = pytest.mark.parametrize("kind", ["batch", "group"])


def parameter_type(dtype: Any) -> Any:
    """What statistics and parameters are kept in beside activations of that type."""
    return FLOAT64 if dtype == FLOAT64 else FLOAT32


def precision(dtype: Any) -> float:
    """The distance from 1 to the next number of the type that is computed in."""
    return float(np.finfo(parameter_type(dtype)).eps)


def stored_rounding(dtype: Any) -> float:
    """How far rounding a result to the type may move it, relative to itself."""
    return float(ml_dtypes.finfo(dtype).eps) / 2


def reals(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    return (np.random.default_rng(seed).standard_normal(shape) + 0.5).astype(dtype)


def wide(array: Host) -> Host:
    return array.astype(np.float64)


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
        saved = unwritten(self.device, shape, self.gamma.dtype), unwritten(self.device, shape, self.gamma.dtype)
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
        ggamma, gbeta = (unwritten(self.device, self.gamma.shape, self.gamma.dtype) for _ in range(2))
        self.backward(gx, ggamma, gbeta, gy, x, False, False)
        return self.device.download(gx), self.device.download(ggamma), self.device.download(gbeta)


def make(device: Device, kind: str, shape: tuple[int, ...], groups: int, dtype: Any) -> tuple[Norm, Host, Host]:
    gamma, beta = (reals(seed, shape[-1:], parameter_type(dtype)) for seed in (1, 2))
    return Norm(device, gamma, beta, groups if kind == "group" else None), gamma, beta


@each_case
@each_dtype
@each_kind
def test_forward(device: Device, kind: str, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, gamma, beta = make(device, kind, shape, groups, dtype)
    x = reals(3, shape, dtype)
    expected = reference.forward(x, gamma, beta, EPS, norm.groups)
    bound = 60 * precision(dtype)
    for held in (upload(device, x), upload_slice(device, x)):
        found = wide(norm.output(held))
        np.testing.assert_allclose(found, expected, rtol=bound + stored_rounding(dtype), atol=bound)


@each_case
@each_dtype
@each_kind
def test_saved_statistics(device: Device, kind: str, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, _, _ = make(device, kind, shape, groups, dtype)
    x = reals(3, shape, dtype)
    mean, inverse = norm.forward(unwritten(device, shape, dtype), upload(device, x))
    expected_mean, variance = reference.statistics(x, norm.groups)
    bound = 20 * precision(dtype)
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
    rtol = 20 * precision(dtype)
    np.testing.assert_allclose(device.download(norm.running_mean), mean, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(device.download(norm.running_variance), variance, rtol=rtol)


@each_dtype
def test_a_single_element_a_channel_is_finite(device: Device, dtype: Any) -> None:
    norm, _, beta = make(device, "batch", (1, 3), 1, dtype)
    found = norm.output(upload(device, reals(6, (1, 3), dtype)))
    np.testing.assert_array_equal(found, beta[np.newaxis].astype(dtype))
    np.testing.assert_allclose(device.download(norm.running_variance), [0.9, 0.9, 0.9], rtol=1e-6)


@each_case
@each_dtype
def test_inference(device: Device, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, gamma, beta = make(device, "batch", shape, groups, dtype)
    x = reals(7, shape, dtype)
    mean, variance = (reals(seed, shape[-1:], parameter_type(dtype)) ** power for seed, power in ((8, 1), (9, 2)))
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
    scaled = (wide(x) - wide(mean)) / np.sqrt(wide(variance) + EPS) * wide(gamma)
    bound = 60 * precision(dtype)
    expected = np.maximum(scaled + wide(beta), 0)
    np.testing.assert_allclose(
        wide(device.download(y)),
        expected,
        rtol=bound + stored_rounding(dtype),
        atol=bound * max(1, np.abs(scaled).max()),
    )


@each_dtype
@pytest.mark.parametrize("function", [RELU, Activation("leaky_relu", 0.1), Activation("sigmoid")], ids=lambda f: f.name)
@pytest.mark.parametrize("in_place", [False, True])
def test_fused_activation(device: Device, function: Activation, in_place: bool, dtype: Any) -> None:
    shape = (3, 4, 5, 6)
    norm, gamma, beta = make(device, "batch", shape, 1, dtype)
    x = reals(10, shape, dtype)
    held = upload(device, x)
    y = held if in_place else upload_slice(device, np.zeros(shape, dtype))
    norm.forward(y, held, function)
    inner = reference.forward(x, gamma, beta, EPS)
    expected = np.vectorize(lambda value: activation_of(function, value))(inner)
    # Other functions than ReLU are applied to the rounded output, and no slope here is steeper than 1.
    bound, rounding = 60 * precision(dtype), stored_rounding(dtype)
    allowed = rounding * (np.abs(expected) + np.abs(inner) * (function.name != "relu")) + bound * (1 + np.abs(inner))
    assert (np.abs(wide(device.download(y)) - expected) <= allowed).all()


@each_small_case
@each_kind
def test_gradients_by_finite_differences(cpu: Device, kind: str, shape: tuple[int, ...], groups: int) -> None:
    norm, gamma, beta = make(cpu, kind, shape, groups, FLOAT64)
    x, gy = reals(11, shape, np.float64), reals(12, shape, np.float64)
    held = upload(cpu, x)

    def loss(moved: Host, gamma: Host, beta: Host) -> float:
        moved_norm = Norm(cpu, gamma, beta, norm.groups)
        return float((gy * moved_norm.output(upload(cpu, moved))).sum())

    gx, ggamma, gbeta = norm.gradients(upload(cpu, gy), held)
    for analytic, numeric in (
        (gx, gradient(lambda moved: loss(moved, gamma, beta), x, width=1e-4)),
        (ggamma, gradient(lambda moved: loss(x, moved, beta), gamma)),
        (gbeta, gradient(lambda moved: loss(x, gamma, moved), beta)),
    ):
        np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-6 * np.abs(numeric).max() + 1e-9)


@each_case
@each_dtype
@each_kind
def test_gradients(device: Device, kind: str, shape: tuple[int, ...], groups: int, dtype: Any) -> None:
    norm, gamma, _ = make(device, kind, shape, groups, dtype)
    x, gy = reals(11, shape, dtype), reals(12, shape, dtype)
    gx, ggamma, gbeta = reference.backward(gy, x, gamma, EPS, norm.groups)
    _, variances = reference.statistics(x, norm.groups)
    bound = 60 * precision(dtype)
    steepest = np.abs(gamma).max() / np.sqrt(variances.min() + EPS)
    for put in (upload, upload_slice):
        found_gx, found_ggamma, found_gbeta = norm.gradients(put(device, gy), put(device, x))
        np.testing.assert_allclose(
            wide(found_gx), gx, rtol=bound + stored_rounding(dtype), atol=bound * steepest * np.abs(wide(gy)).max()
        )
        # Terms of both signs are added: what rounding costs goes with their sizes, not with the sum.
        h = reference.normalized(x, EPS, norm.groups)
        for found, expected, factor in ((found_ggamma, ggamma, h), (found_gbeta, gbeta, np.ones_like(h))):
            sizes = np.abs(wide(gy) * factor).reshape(-1, shape[-1]).sum(axis=0)
            assert (np.abs(found - expected) <= bound * (sizes + 1)).all()


@each_kind
@each_dtype
def test_accumulated_gradients(device: Device, kind: str, dtype: Any) -> None:
    shape, groups = NORMALIZATIONS["images"]
    norm, _, _ = make(device, kind, shape, groups, dtype)
    x, gy = upload(device, reals(11, shape, dtype)), upload(device, reals(12, shape, dtype))
    plain = norm.gradients(gy, x)
    kept = parameter_type(dtype)
    before = reals(13, shape, dtype), reals(14, shape[-1:], kept), reals(15, shape[-1:], kept)
    for to_images, to_parameters in ((True, True), (True, False), (False, True)):
        gx, ggamma, gbeta = (upload(device, array) for array in before)
        norm.backward(gx, ggamma, gbeta, gy, x, to_images, to_parameters)
        for result, start, change, added in zip(
            (gx, ggamma, gbeta), before, plain, (to_images, to_parameters, to_parameters), strict=True
        ):
            expected = wide(start) * added + wide(change)
            # What is added here was rounded to its type already.
            rtol = 8 * precision(dtype) + stored_rounding(result.dtype)
            atol = 320 * precision(dtype) + stored_rounding(result.dtype) * np.abs(wide(change)).max()
            np.testing.assert_allclose(wide(device.download(result)), expected, rtol=rtol, atol=atol)


@each_kind
@each_dtype
def test_gradients_in_place_through_slices_and_without_inputs(device: Device, kind: str, dtype: Any) -> None:
    shape, groups = NORMALIZATIONS["images"]
    norm, _, _ = make(device, kind, shape, groups, dtype)
    x, gy = reals(16, shape, dtype), reals(17, shape, dtype)
    expected = norm.gradients(upload(device, gy), upload(device, x))
    tolerance = 0 if dtype == FLOAT64 else 8 * precision(dtype)
    for put in (upload, upload_slice):
        gradients = put(device, gy)
        ggamma, gbeta = (unwritten(device, shape[-1:], parameter_type(dtype)) for _ in range(2))
        norm.backward(None, ggamma, gbeta, gradients, put(device, x), False, False)
        norm.backward(gradients, ggamma, gbeta, gradients, put(device, x), False, False)
        for result, value in zip((gradients, ggamma, gbeta), expected, strict=True):
            found = wide(device.download(result))
            allowed = 1e-12 + tolerance + (2 * stored_rounding(dtype) if result is gradients else 0)
            np.testing.assert_allclose(found, wide(value), rtol=allowed, atol=1e-12 + 20 * tolerance)


@each_kind
def test_wide_channel_slices(device: Device, kind: str) -> None:
    """Slices whose pitch and place allow moving 16 bytes at once, too."""
    shape, groups = LARGE_NORMALIZATIONS["two tiles of channels"]
    norm, _, _ = make(device, kind, shape, groups, FLOAT32)
    x, gy = reals(16, shape, FLOAT32), reals(17, shape, FLOAT32)
    expected = norm.gradients(upload(device, gy), upload(device, x))
    found = norm.gradients(upload_slice(device, gy, 4, 8), upload_slice(device, x, 8, 4))
    for result, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-5)


@each_kind
@pytest.mark.parametrize(("mean", "deviation"), [(1000, 0.01), (100, 1)])
def test_small_variance_beside_a_large_mean(device: Device, kind: str, mean: float, deviation: float) -> None:
    """In float32, the mean of the squares minus the square of the mean would be all rounding, or two digits right."""
    shape = (4, 12, 12, 4)
    x = (mean + deviation * np.random.default_rng(18).standard_normal(shape)).astype(np.float32)
    norm = Norm(device, np.ones(4, np.float32), np.zeros(4, np.float32), 2 if kind == "group" else None)
    expected = reference.normalized(x, EPS, norm.groups)
    np.testing.assert_allclose(norm.output(upload(device, x)), expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows are cut into blocks, and all threads take part, as with large images."""
    monkeypatch.setattr(blocks, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(blocks, "LONG_PIECE", 40)
    row_plan.cache_clear()
    yield
    row_plan.cache_clear()


@each_case
@each_kind
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.usefixtures("small_blocks")
def test_threads_share_the_rows(kind: str, shape: tuple[int, ...], groups: int, accumulate: bool) -> None:
    device = backend.open("cpu", 3)
    norm, gamma, beta = make(device, kind, shape, groups, FLOAT64)
    x, gy, before = (reals(seed, shape, FLOAT64) for seed in (24, 25, 26))
    read, gradient, y = upload_slice(device, x), upload_slice(device, gy), upload_slice(device, np.zeros(shape))
    norm.forward(y, read)
    expected = reference.forward(x, gamma, beta, EPS, norm.groups)
    np.testing.assert_allclose(device.download(y), expected, rtol=1e-9, atol=1e-9)
    gx, ggamma, gbeta = upload_slice(device, before), upload(device, gamma), upload(device, beta)
    norm.backward(gx, ggamma, gbeta, gradient, read, accumulate, accumulate)
    found = (device.download(array) for array in (gx, ggamma, gbeta))
    gradients = reference.backward(gy, x, gamma, EPS, norm.groups)
    for result, value, first in zip(found, gradients, (before, gamma, beta), strict=True):
        np.testing.assert_allclose(result, value + accumulate * first, rtol=1e-8, atol=1e-8)
    device.close()


@each_kind
@pytest.mark.parametrize(
    ("above", "below", "deviation"), [(0, 300, 1), (1000, 1000.05, 0.01)], ids=["below", "everywhere"]
)
@pytest.mark.usefixtures("small_blocks")
def test_rows_far_from_zero(cpu: Device, kind: str, above: float, below: float, deviation: float) -> None:
    """Sums of the blocks below, or of all, start anew behind their means, which differ; then all moments are joined."""
    x = deviation * np.random.default_rng(23).standard_normal((4, 64, 4, 8))
    x[:, :32] += above
    x[:, 32:] += below
    x = x.astype(np.float32)
    norm = Norm(cpu, np.ones(8, np.float32), np.zeros(8, np.float32), 2 if kind == "group" else None)
    expected = reference.normalized(x, EPS, norm.groups)
    np.testing.assert_allclose(norm.output(upload(cpu, x)), expected, rtol=1e-5, atol=1e-5)


def test_long_sums_of_rows_that_cannot_be_joined(cpu: Device) -> None:
    """65,537 rows are a prime number of them; one sum of so many numbers in float32 would be off by 1e-4."""
    x = (2 + np.random.default_rng(0).standard_normal((65537, 2))).astype(np.float32)
    mean, deviation, running_mean, running_variance = (upload(cpu, np.zeros(2, np.float32)) for _ in range(4))
    vectors = (upload(cpu, np.ones(2, np.float32)), upload(cpu, np.zeros(2, np.float32)))
    images = upload(cpu, x)
    cpu.primitives.batch_norm_forward(
        cpu, images, mean, deviation, running_mean, running_variance, images, *vectors, SETTINGS, LINEAR
    )
    means, variances = reference.statistics(x)
    np.testing.assert_allclose(cpu.download(mean), means, rtol=1e-6)
    np.testing.assert_allclose(cpu.download(deviation), 1 / np.sqrt(variances + EPS), rtol=2e-6)


@each_kind
def test_an_outlier_where_sums_begin(device: Device, kind: str) -> None:
    """The first element is what the CUDA kernels subtract before they square."""
    shape = (2, 20, 20, 3)
    x = np.random.default_rng(22).standard_normal(shape).astype(np.float32)
    x[0, 0, 0] = 1e4
    norm = Norm(device, np.ones(3, np.float32), np.zeros(3, np.float32), 1 if kind == "group" else None)
    expected = reference.normalized(x, EPS, norm.groups)
    # The outlier lies at most sqrt(count) deviations from the mean, which may lose what rounding that distance costs.
    atol = 2 * np.sqrt(x[..., 0].size) * precision(FLOAT32)
    np.testing.assert_allclose(norm.output(upload(device, x)), expected, rtol=2e-5, atol=atol)


@each_kind
def test_large_layers_equal_their_small_repetition(device: Device, kind: str) -> None:
    """Blocks and threads: a large batch that repeats a small one has its statistics, and the sums of its gradients."""
    shape, groups = (3, 12, 14, 16), 4
    repeats = 24 if device.name == "cpu" else 4
    norm, gamma, beta = make(device, kind, shape, groups, np.float32)
    x, gy = reals(19, shape, np.float32), reals(20, shape, np.float32)
    large_x, large_gy = (upload(device, np.tile(array, (repeats, 1, 1, 1))) for array in (x, gy))
    expected = np.tile(reference.forward(x, gamma, beta, EPS, norm.groups), (repeats, 1, 1, 1))
    np.testing.assert_allclose(norm.output(large_x), expected, rtol=1e-5, atol=1e-5)
    gx, ggamma, gbeta = norm.gradients(large_gy, large_x)
    small = reference.backward(gy, x, gamma, EPS, norm.groups)
    np.testing.assert_allclose(gx, np.tile(small[0], (repeats, 1, 1, 1)), rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(ggamma, repeats * small[1], rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(gbeta, repeats * small[2], rtol=1e-5, atol=1e-2)


@each_kind
def test_infinite_inputs_pass_silently(device: Device, kind: str) -> None:
    shape, groups = NORMALIZATIONS["images"]
    for place in ((0, 0, 0, 0), (0, 2, 1, 0)):
        norm, _, _ = make(device, kind, shape, groups, np.float32)
        x = reals(21, shape, np.float32)
        x[place] = np.inf
        assert np.isnan(norm.output(upload(device, x))[0, ..., 0]).all()


@each_kind
def test_two_runs_give_the_same_bits(device: Device, kind: str) -> None:
    shape, groups = LARGE_NORMALIZATIONS["several slices of rows"]
    norm, _, _ = make(device, kind, shape, groups, np.float32)
    x, gy = (upload(device, reals(seed, shape, np.float32)) for seed in (23, 24))
    for first, second in zip(norm.gradients(gy, x), norm.gradients(gy, x), strict=True):
        np.testing.assert_array_equal(first, second)


def test_group_norm_takes_as_many_images_at_a_time_as_there_is_scratch(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, groups, kinds = (5, 3, 2, 6), 3, 6
    norm, gamma, beta = make(device, "group", shape, groups, FLOAT32)
    x, gy = reals(25, shape, FLOAT32), reals(26, shape, FLOAT32)
    monkeypatch.setattr(normalization_passes, "LARGEST_PARTIALS", 2 * kinds * shape[-1])
    output = norm.output(upload(device, x))
    np.testing.assert_allclose(output, reference.forward(x, gamma, beta, EPS, groups), rtol=1e-5, atol=1e-5)
    for found, expected in zip(
        norm.gradients(upload(device, gy), upload(device, x)),
        reference.backward(gy, x, gamma, EPS, groups),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@each_kind
def test_more_channels_than_scratch_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = backend.open("emulator")
    norm, _, _ = make(emulator, kind, (2, 6), 3, FLOAT32)
    monkeypatch.setattr(normalization_passes, "LARGEST_PARTIALS", 30)
    with pytest.raises(UsageError, match="6 channels; CUDA normalises at most 5: use the CPU"):
        norm.output(upload(emulator, reals(27, (2, 6), FLOAT32)))
    emulator.close()


@each_kind
def test_shapes_must_fit(kind: str) -> None:
    emulator = backend.open("emulator")
    norm, _, _ = make(emulator, kind, (2, 6), 3, FLOAT32)
    with pytest.raises(UsageError, match=r"y has shape \(2, 3\); it must have \(2, 6\)"):
        norm.forward(unwritten(emulator, (2, 3), FLOAT32), unwritten(emulator, (2, 6), FLOAT32))
    emulator.close()
