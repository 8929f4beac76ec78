"""What surrounds an optimiser step: finite check, clipping, statistics, and the step counter."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn.arena import Part, place
from gpunn.backend.contract import Device
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, unwritten, upload, upload_slice
from tests.cases.optimizer import LARGE, MEDIUM, MIXED
from tests.reference import update as reference


def word(device: Device, value: float, dtype: Any = np.int64) -> Any:
    return upload(device, np.array([value], dtype), "plain")


def value_of(device: Device, array: Any) -> float:
    return float(device.download(array)[0])


#: Elements in which a bad one is sought: the CPU cuts its work at 2^18.
MANY, FEW = 600_000, 3000


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, BFLOAT16, FLOAT16], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("share", [0.0, 0.67, 1.0])
def test_finite_check_finds_one_bad_value(device: Device, dtype: Any, bad: float, share: float) -> None:
    values = np.ones(MANY if device.name == "cpu" else FEW, dtype)
    apply, latched, step = word(device, 1, np.int32), word(device, -1), word(device, 41)
    device.primitives.finite_check(device, apply, latched, upload(device, values), step)
    assert (value_of(device, apply), value_of(device, latched)) == (1, -1)
    values[int(share * (values.size - 1))] = bad
    device.primitives.finite_check(device, apply, latched, upload(device, values), step)
    assert (value_of(device, apply), value_of(device, latched)) == (0, 41)
    device.primitives.finite_check(device, apply, latched, upload(device, values), word(device, 50))
    assert (value_of(device, apply), value_of(device, latched)) == (0, 41)


def test_finite_check_of_the_norm(device: Device) -> None:
    """The norm of the gradients is float64 on every device."""
    for value, expected in ((1e300, 1), (np.inf, 0), (np.nan, 0)):
        apply, latched = word(device, 1, np.int32), word(device, -1)
        device.primitives.finite_check(device, apply, latched, word(device, value, FLOAT64), word(device, 7))
        assert (value_of(device, apply), value_of(device, latched)) == (expected, -1 if expected else 7)


def test_step_0_can_be_the_one_that_is_kept(device: Device) -> None:
    apply, latched = word(device, 1, np.int32), word(device, -1)
    for step in (0, 1):
        device.primitives.finite_check(device, apply, latched, word(device, np.nan, FLOAT32), word(device, step))
        assert (value_of(device, apply), value_of(device, latched)) == (0, 0)


def test_finite_check_does_not_restore_a_void_step(device: Device) -> None:
    apply, latched = word(device, 0, np.int32), word(device, 3)
    values = upload(device, np.ones(5, np.float32))
    device.primitives.finite_check(device, apply, latched, values, word(device, 4))
    assert (value_of(device, apply), value_of(device, latched)) == (0, 3)


def test_finite_check_of_a_channel_slice_sees_only_its_channels(device: Device) -> None:
    for channel, expected in ((None, 1), (0, 0), (3, 0)):
        apply, latched = word(device, 1, np.int32), word(device, -1)
        values = np.ones((2, 3, 3, 4), np.float32)
        if channel is not None:
            values[1, 2, 0, channel] = np.inf
        device.primitives.finite_check(device, apply, latched, upload_slice(device, values), word(device, 0))
        assert value_of(device, apply) == expected


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, BFLOAT16, FLOAT16], ids=str)
def test_large_finite_values_pass(device: Device, dtype: Any) -> None:
    apply, latched = word(device, 1, np.int32), word(device, -1)
    limits = np.array([ml_dtypes.finfo(dtype).max, ml_dtypes.finfo(dtype).min] * 100, dtype)
    device.primitives.finite_check(device, apply, latched, upload(device, limits), word(device, 0))
    assert (value_of(device, apply), value_of(device, latched)) == (1, -1)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("share", [0.5, 1.0, 2.0])
def test_clipping(device: Device, share: float, dtype: Any) -> None:
    gradients = np.random.default_rng(0).normal(0, 3, MIXED.size).astype(dtype)
    trainable = [gradients[s.offset : s.stop].astype(float) for s in MIXED if s.trainable]
    for segment, following in zip(MIXED, (*list(MIXED)[1:], None), strict=True):
        gradients[segment.stop : following.offset if following else None] = 0
    expected = reference.norm(np.concatenate(trainable).tolist())
    norm, scale = unwritten(device, (1,), np.float64, "plain"), unwritten(device, (1,), np.float64, "plain")
    device.primitives.clip_global_norm(device, norm, scale, upload(device, gradients), MIXED, share * expected)
    assert value_of(device, norm) == pytest.approx(expected, rel=1e-12)
    assert value_of(device, scale) == pytest.approx(min(1, share), rel=1e-12)


def test_clipping_by_hand(device: Device) -> None:
    gradients = np.zeros(MIXED.size, np.float32)
    gradients[:2] = 3, 4
    norm, scale = word(device, np.nan, np.float64), word(device, np.nan, np.float64)
    for maximum, expected in ((10, 1), (5, 1), (2.5, 0.5)):
        device.primitives.clip_global_norm(device, norm, scale, upload(device, gradients), MIXED, maximum)
        assert (value_of(device, norm), value_of(device, scale)) == (5, expected)
    device.primitives.clip_global_norm(device, norm, scale, upload(device, 0 * gradients), MIXED, 1.0)
    assert (value_of(device, norm), value_of(device, scale)) == (0, 1)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_a_norm_that_is_not_finite(device: Device, dtype: Any) -> None:
    """It is handed on for finite_check to see; a NaN leaves the scale alone."""
    for bad, expected in ((np.inf, 0.0), (np.nan, 1.0)):
        gradients = np.zeros(MIXED.size, dtype)
        gradients[3] = bad
        norm, scale = word(device, 0, np.float64), word(device, 5, np.float64)
        device.primitives.clip_global_norm(device, norm, scale, upload(device, gradients), MIXED, 1.0)
        np.testing.assert_equal(value_of(device, norm), bad)
        assert value_of(device, scale) == expected


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_the_norm_does_not_overflow(device: Device, dtype: Any) -> None:
    segments = LARGE if device.name == "cpu" else MEDIUM
    gradients = np.zeros(segments.size, dtype)
    weight = segments["weight"]
    gradients[: weight.size] = 1e30
    norm, scale = word(device, np.nan, np.float64), word(device, np.nan, np.float64)
    device.primitives.clip_global_norm(device, norm, scale, upload(device, gradients), segments, 1.0)
    expected = float(dtype.type(1e30)) * weight.size**0.5
    assert value_of(device, norm) == pytest.approx(expected, rel=1e-12)
    assert value_of(device, scale) == pytest.approx(1 / expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_a_gradient_that_nobody_trains_has_no_length(device: Device, dtype: Any) -> None:
    frozen = place([Part("weight", (70,), trainable=False)])
    norm, scale = word(device, np.nan, np.float64), word(device, np.nan, np.float64)
    device.primitives.clip_global_norm(device, norm, scale, upload(device, np.ones(128, dtype)), frozen, 1.0)
    assert (value_of(device, norm), value_of(device, scale)) == (0, 1)


@pytest.mark.parametrize("count", [3, 5000])
def test_statistics_are_kept_or_undone(device: Device, count: int) -> None:
    kept = np.arange(count, dtype=np.float32)
    proposed = kept + count
    for apply, expected in ((1, proposed), (0, kept)):
        statistics, pending = upload(device, kept), upload(device, proposed)
        device.primitives.commit_statistics(device, statistics, pending, word(device, apply, np.int32))
        assert np.array_equal(device.download(statistics), expected)
        assert np.array_equal(device.download(pending), expected)


def test_the_step_advances_unless_one_is_latched(device: Device) -> None:
    """Loss scaling voids one step, and the next one applies again; a latched step voids all that follow."""
    step, apply = word(device, 7), word(device, 0, np.int32)
    for latched in (7, 0):
        device.primitives.advance(device, step, apply, word(device, latched))
        assert (value_of(device, step), value_of(device, apply)) == (7, 0)
    device.primitives.advance(device, step, apply, word(device, -1))
    assert (value_of(device, step), value_of(device, apply)) == (8, 1)
