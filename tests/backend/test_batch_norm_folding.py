"""Batch norm as a part of the convolution before it, against loops in float64."""

from __future__ import annotations

from math import sqrt
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.attributes import Normalization
from gpunn.backend.contract import Device
from gpunn.backend.cpu.shared import blocks
from gpunn.errors import UsageError
from tests.backend.arrays import FLOATS, reals, summed, unwritten, upload

SETTINGS = Normalization(eps=1e-3)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


@each_dtype
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 5, 7), (3, 3, 32, 96)], ids=str)
def test_filters_and_offset(device: Device, shape: tuple[int, ...], with_bias: bool, dtype: Any) -> None:
    kept, K = summed(dtype), shape[-1]
    w = reals(1, shape, kept)
    bias, mean, gamma, beta = (reals(seed, (K,), kept) for seed in (2, 3, 4, 5))
    variance = reals(6, (K,), kept) ** 2
    filters, offset = unwritten(device, shape, dtype, "plain"), unwritten(device, (K,), kept)
    vectors = [upload(device, vector) for vector in (mean, variance, gamma, beta)]
    given = upload(device, bias) if with_bias else None
    device.primitives.fold_batch_norm(device, filters, offset, upload(device, w, "plain"), given, *vectors, SETTINGS)

    scales = [float(gamma[k]) / sqrt(float(variance[k]) + SETTINGS.eps) for k in range(K)]
    expected = np.empty(shape)
    for index in np.ndindex(shape):
        expected[index] = float(w[index]) * scales[index[-1]]
    rounding = float(ml_dtypes.finfo(dtype).eps) / 2 + 4 * float(np.finfo(kept).eps)
    smallest = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(device.download(filters).astype(np.float64), expected, rtol=rounding, atol=smallest / 2)
    for k, found in enumerate(device.download(offset)):
        moved = (float(bias[k]) if with_bias else 0.0) - float(mean[k])
        size = abs(scales[k] * moved) + abs(scales[k] * float(bias[k])) + abs(float(beta[k]))
        assert abs(float(found) - (scales[k] * moved + float(beta[k]))) <= 4 * float(np.finfo(kept).eps) * size


def test_many_weights_are_shared_by_threads(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "WORTH_A_THREAD", 1)
    shape = (3, 3, 256, 300)
    w, gamma = reals(1, shape, np.float32), reals(2, shape[-1:], np.float32)
    filters, offset = unwritten(cpu, shape, np.float32, "plain"), unwritten(cpu, shape[-1:], np.float32)
    zeros, ones = (upload(cpu, np.full(shape[-1:], value, np.float32)) for value in (0, 1))
    cpu.primitives.fold_batch_norm(
        cpu, filters, offset, upload(cpu, w, "plain"), None, zeros, ones, upload(cpu, gamma), zeros, SETTINGS
    )
    np.testing.assert_allclose(cpu.download(filters), w * gamma / np.sqrt(1 + SETTINGS.eps), rtol=1e-6)


def test_overflow_passes_silently(cpu: Device) -> None:
    w = upload(cpu, np.array([[[[1, 0]]]], np.float32), "plain")
    gamma, others = upload(cpu, np.full(2, 3e38, np.float32)), upload(cpu, np.zeros(2, np.float32))
    filters, offset = unwritten(cpu, w.shape, np.float32, "plain"), unwritten(cpu, (2,), np.float32)
    with np.errstate(all="raise"):
        cpu.primitives.fold_batch_norm(cpu, filters, offset, w, None, others, others, gamma, others, SETTINGS)
    np.testing.assert_array_equal(cpu.download(filters).ravel(), [np.inf, np.nan])


def test_shapes_that_do_not_fit_are_named() -> None:
    emulator = backend.open("emulator")
    filters, w = unwritten(emulator, (3, 3, 2, 4), np.float32, "plain"), unwritten(emulator, (3, 3, 2, 5), np.float32)
    vector = unwritten(emulator, (5,), np.float32)
    with pytest.raises(UsageError, match=r"fold_batch_norm: filters has shape \(3, 3, 2, 4\)"):
        emulator.primitives.fold_batch_norm(
            emulator, filters, vector, w, None, vector, vector, vector, vector, SETTINGS
        )
    emulator.close()
