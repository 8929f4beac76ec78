"""What surrounds an optimiser step: finite check, clipping, statistics, the step counter, and penalties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Device
from tests.backend.arrays import Host, unwritten, upload, upload_slice
from tests.cases.optimizer import LARGE, MIXED
from tests.reference import update as reference


def word(device: Device, value: float, dtype: Any = np.int64) -> Any:
    return upload(device, np.array([value], dtype), "plain")


def value_of(device: Device, array: Any) -> float:
    return float(device.download(array)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 400_000, 599_999])
def test_finite_check_finds_one_bad_value(device: Device, dtype: Any, bad: float, place: int) -> None:
    values = np.ones(600_000, dtype)
    apply, latched, step = word(device, 1, np.int32), word(device, -1), word(device, 41)
    device.primitives.finite_check(device, apply, latched, upload(device, values), step)
    assert (value_of(device, apply), value_of(device, latched)) == (1, -1)
    values[place] = bad
    device.primitives.finite_check(device, apply, latched, upload(device, values), step)
    assert (value_of(device, apply), value_of(device, latched)) == (0, 41)
    device.primitives.finite_check(device, apply, latched, upload(device, values), word(device, 50))
    assert (value_of(device, apply), value_of(device, latched)) == (0, 41)


def test_finite_check_does_not_restore_a_void_step(device: Device) -> None:
    apply, latched = word(device, 0, np.int32), word(device, 3)
    device.primitives.finite_check(device, apply, latched, upload(device, np.ones(5)), word(device, 4))
    assert (value_of(device, apply), value_of(device, latched)) == (0, 3)


def test_finite_check_of_a_channel_slice_sees_only_its_channels(device: Device) -> None:
    apply, latched = word(device, 1, np.int32), word(device, -1)
    values = upload_slice(device, np.ones((2, 3, 3, 4), np.float32))
    device.primitives.finite_check(device, apply, latched, values, word(device, 0))
    assert value_of(device, apply) == 1


def test_large_finite_values_pass(device: Device) -> None:
    apply, latched = word(device, 1, np.int32), word(device, -1)
    values = upload(device, np.full(1000, np.finfo(np.float32).max))
    device.primitives.finite_check(device, apply, latched, values, word(device, 0))
    assert value_of(device, apply) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
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


def test_the_norm_does_not_overflow_in_float32(device: Device) -> None:
    gradients = np.zeros(LARGE.size, np.float32)
    gradients[: 1000 * 601] = 1e30
    norm, scale = word(device, np.nan, np.float64), word(device, np.nan, np.float64)
    device.primitives.clip_global_norm(device, norm, scale, upload(device, gradients), LARGE, 1.0)
    expected = float(np.float32(1e30)) * 601_000**0.5
    assert value_of(device, norm) == pytest.approx(expected, rel=1e-12)
    assert value_of(device, scale) == pytest.approx(1 / expected, rel=1e-12)


def test_statistics_are_kept_or_undone(device: Device) -> None:
    kept, proposed = np.array([1, 2, 3], np.float32), np.array([4, 5, 6], np.float32)
    for apply, expected in ((1, proposed), (0, kept)):
        statistics, pending = upload(device, kept), upload(device, proposed)
        device.primitives.commit_statistics(device, statistics, pending, word(device, apply, np.int32))
        assert np.array_equal(device.download(statistics), expected)
        assert np.array_equal(device.download(pending), expected)


def test_the_step_advances_unless_void(device: Device) -> None:
    step = word(device, 7)
    device.primitives.advance(device, step, word(device, 0, np.int32))
    assert value_of(device, step) == 7
    device.primitives.advance(device, step, word(device, 1, np.int32))
    assert value_of(device, step) == 8


def decaying(segments: Any, flat: Host) -> Host:
    return np.concatenate([flat[s.offset : s.stop] for s in segments if s.decay != 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_penalty_value(device: Device, p: float, dtype: Any) -> None:
    for segments in (MIXED, LARGE):
        weights = np.random.default_rng(0).normal(size=segments.size).astype(dtype)
        value = unwritten(device, (1,), np.float64, "plain")
        device.primitives.penalty_value(device, value, upload(device, weights), segments, Penalty(p, 0.01))
        expected = reference.penalty(decaying(segments, weights).tolist(), p, 0.01)
        assert value_of(device, value) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_penalty_gradient_is_the_difference_of_the_value(device: Device, p: float) -> None:
    generator = np.random.default_rng(0)
    weights = generator.normal(size=MIXED.size)
    weights = np.where(np.abs(weights) < 0.01, 0.01, weights)
    before = generator.normal(size=MIXED.size)
    gradients = upload(device, before)
    device.primitives.penalty_gradient(device, gradients, upload(device, weights), MIXED, Penalty(p, 0.3))
    added = device.download(gradients) - before
    width = 1e-6
    decays = np.zeros(MIXED.size, bool)
    for segment in MIXED:
        decays[segment.offset : segment.stop] = segment.decay != 0
    for i in range(MIXED.size):
        up, down = (reference.penalty([weights[i] + sign * width], p, 0.3) for sign in (1, -1))
        expected = (up - down) / (2 * width) if decays[i] else 0.0
        assert added[i] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_penalty_gradients_by_hand(device: Device, dtype: Any) -> None:
    """A weight of zero is not pulled, whatever the power."""
    weights = np.zeros(MIXED.size, dtype)
    weights[:3] = 2, -3, 0
    for p, expected in ((0.5, None), (1.0, [0.5, -0.5, 0]), (2.0, [1, -1.5, 0]), (3.0, [2, -4.5, 0])):
        gradients = upload(device, np.zeros(MIXED.size, dtype))
        device.primitives.penalty_gradient(device, gradients, upload(device, weights), MIXED, Penalty(p, 0.5))
        found = device.download(gradients)
        assert found.dtype == dtype
        assert (found[2:] == 0).all()
        if expected is not None:
            assert found[:3].tolist() == expected
