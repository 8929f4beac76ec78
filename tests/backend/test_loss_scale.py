"""Loss scaling: gradients divided, and a multiplier that follows what they bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LARGEST_LOSS_SCALE, LOSS_SCALE_PATIENCE
from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from tests.backend.arrays import FLOAT32, FLOAT64, Host, reals, unwritten, upload

#: Whole chunks of the arena; on the CPU more than one piece of work.
FEW, MANY = 64 * 50, 64 * 5000


@dataclass
class Scaling:
    """The controls of one device."""

    device: Device
    multiplier: float
    finite_steps: int = 0
    apply: int = 1

    def unscale(self, gradients: Host) -> Host:
        """One call; the controls are read back."""
        held = upload(self.device, gradients, "plain")
        controls = [
            upload(self.device, np.array([value], dtype), "plain")
            for value, dtype in ((self.multiplier, np.float64), (self.finite_steps, np.int64), (self.apply, np.int32))
        ]
        self.device.primitives.unscale_gradients(self.device, held, *controls)
        multiplier, finite_steps, apply = (self.device.download(control)[0] for control in controls)
        self.multiplier, self.finite_steps, self.apply = float(multiplier), int(finite_steps), int(apply)
        return self.device.download(held)

    @property
    def controls(self) -> tuple[float, int, int]:
        return self.multiplier, self.finite_steps, self.apply


def size_for(device: Device) -> int:
    return MANY if device.name == "cpu" else FEW


def test_the_loss_scale_is_the_share_times_the_multiplier(device: Device) -> None:
    scale = unwritten(device, (1,), np.float64, "plain")
    share, multiplier = (upload(device, np.array([value]), "plain") for value in (0.1, 3.0))
    device.primitives.set_loss_scale(device, scale, share, multiplier)
    assert device.download(scale)[0] == 0.1 * 3.0


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("multiplier", [65536.0, 3.0])
def test_gradients_are_divided(device: Device, multiplier: float, dtype: Any) -> None:
    gradients = reals(1, (size_for(device),), dtype)
    scaling = Scaling(device, multiplier)
    found = scaling.unscale(gradients)
    np.testing.assert_array_equal(found, [g / dtype.type(multiplier) for g in gradients])
    assert scaling.controls == (multiplier, 1, 1)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_an_overflow_voids_the_step_and_halves_the_multiplier(
    device: Device, share: float, bad: float, dtype: Any
) -> None:
    gradients = np.ones(size_for(device), dtype)
    gradients[int(share * (gradients.size - 1))] = bad
    scaling = Scaling(device, 8.0, finite_steps=5)
    scaling.unscale(gradients)
    assert scaling.controls == (4.0, 0, 0)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_the_multiplier_stays_within_its_limits(device: Device, dtype: Any) -> None:
    broken, fine = np.full(64, np.nan, dtype), np.ones(64, dtype)
    scaling = Scaling(device, 1.5)
    scaling.unscale(broken)
    assert scaling.controls == (1.0, 0, 0)
    scaling = Scaling(device, LARGEST_LOSS_SCALE, LOSS_SCALE_PATIENCE - 1)
    scaling.unscale(fine)
    assert scaling.controls == (LARGEST_LOSS_SCALE, 0, 1)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_patience_doubles_the_multiplier(device: Device, dtype: Any) -> None:
    gradients = np.ones(64, dtype)
    scaling = Scaling(device, 2.0, LOSS_SCALE_PATIENCE - 2)
    scaling.unscale(gradients)
    assert scaling.controls == (2.0, LOSS_SCALE_PATIENCE - 1, 1)
    scaling.unscale(gradients)
    assert scaling.controls == (4.0, 0, 1)
    np.testing.assert_array_equal(scaling.unscale(gradients), 0.25)
    assert scaling.controls == (4.0, 1, 1)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_a_void_step_is_left_alone(device: Device, dtype: Any) -> None:
    gradients = np.array([1.0, np.inf, np.nan] + [2.0] * 61, dtype)
    scaling = Scaling(device, 8.0, finite_steps=7, apply=0)
    np.testing.assert_array_equal(scaling.unscale(gradients), gradients)
    assert scaling.controls == (8.0, 7, 0)


@pytest.mark.parametrize("dtype", [FLOAT32])
def test_gradients_that_are_not_flat_are_refused_on_cuda(device: Device, dtype: Any) -> None:
    if device.name == "cpu":
        pytest.skip("the CPU takes any array")
    with pytest.raises(UsageError, match="a flat array has a multiple of 64"):
        Scaling(device, 2.0).unscale(np.ones(70, dtype))
