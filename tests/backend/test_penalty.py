"""Penalties on the size of weights: values against sums over single numbers, gradients against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.arena import Part, place
from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Device
from tests.backend.arrays import FLOAT32, FLOAT64, Host, unwritten, upload
from tests.cases.optimizer import LARGE, MEDIUM, MIXED
from tests.reference import update as reference

POWERS = (0.5, 1.0, 1.5, 2.0, 3.0)


def decaying(segments: Any, flat: Host) -> Host:
    return np.concatenate([flat[s.offset : s.stop] for s in segments if s.decay != 0])


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("p", POWERS)
def test_penalty_value(device: Device, p: float, dtype: Any) -> None:
    """What lies in the gaps between parts has no part in it; frozen parts have."""
    for segments in (MIXED, LARGE if device.name == "cpu" else MEDIUM):
        weights = np.random.default_rng(0).normal(size=segments.size).astype(dtype)
        value = unwritten(device, (1,), np.float64, "plain")
        device.primitives.penalty_value(device, value, upload(device, weights), segments, Penalty(p, 0.01))
        expected = reference.penalty(decaying(segments, weights).tolist(), p, 0.01)
        assert float(device.download(value)[0]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_nothing_decays(device: Device, dtype: Any) -> None:
    segments = place([Part("bias", (70,))])
    weights = upload(device, np.full(128, np.inf, dtype))
    value, gradients = unwritten(device, (1,), np.float64, "plain"), upload(device, np.ones(128, dtype))
    device.primitives.penalty_value(device, value, weights, segments, Penalty(2.0, 1.0))
    device.primitives.penalty_gradient(device, gradients, weights, segments, Penalty(2.0, 1.0))
    assert float(device.download(value)[0]) == 0
    np.testing.assert_array_equal(device.download(gradients), 1)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("p", POWERS)
def test_penalty_gradient_is_the_difference_of_the_value(device: Device, p: float, dtype: Any) -> None:
    generator = np.random.default_rng(0)
    weights = generator.normal(size=MIXED.size)
    weights = np.where(np.abs(weights) < 0.01, 0.01, weights).astype(dtype)
    before = generator.normal(size=MIXED.size).astype(dtype)
    gradients = upload(device, before)
    device.primitives.penalty_gradient(device, gradients, upload(device, weights), MIXED, Penalty(p, 0.3))
    found = device.download(gradients).astype(np.float64)
    decays = np.zeros(MIXED.size, bool)
    for segment in MIXED:
        decays[segment.offset : segment.stop] = segment.decay != 0
    np.testing.assert_array_equal(found[~decays], before[~decays])
    width = 1e-6
    near = {FLOAT32: 1e-6, FLOAT64: 1e-9}[dtype]
    for i in np.flatnonzero(decays):
        w = float(weights[i])
        up, down = (reference.penalty([w + sign * width], p, 0.3) for sign in (1, -1))
        assert found[i] - before[i] == pytest.approx((up - down) / (2 * width), rel=1e-6, abs=near)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
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
