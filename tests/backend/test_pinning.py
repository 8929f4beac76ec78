"""What a device reads by itself arrives before the host may change it, on every device."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.contract import Array, Device, nothing
from tests.backend.arrays import reals, unwritten

SLOTS, STEPS = 3, 9
#: Values of a batch: of 4 MB, which a GPU reads itself, and of a size that the host copies.
SIZES = (2**20, 1000)


@pytest.mark.parametrize("size", SIZES)
def test_batches_from_a_ring_arrive_whole(device: Device, size: int) -> None:
    ring = np.zeros((SLOTS, size), np.float32)
    unpin = device.pin(ring)
    place = unwritten(device, (size,), np.float32, "plain")
    waits, found = [nothing] * SLOTS, list[Array]()
    for step in range(STEPS):
        waits[step % SLOTS]()
        ring[step % SLOTS] = reals(step, (size,), np.float32)
        device.upload(place, ring[step % SLOTS])
        waits[step % SLOTS] = device.copied()
        found.append(unwritten(device, (size,), np.float32, "plain"))
        device.primitives.copy(device, found[-1], place, False)
    unpin()
    ring[:] = np.nan
    for step, array in enumerate(found):
        np.testing.assert_array_equal(device.download(array), reals(step, (size,), np.float32))
    unpin()


def test_memory_of_any_kind_can_be_pinned(device: Device) -> None:
    whole = np.zeros(5000, np.uint8)
    undo = [device.pin(array) for array in (whole[1:4001], whole[:0], whole[2:3], whole)]
    array = unwritten(device, (4000,), np.uint8, "plain")
    whole[:] = 7
    device.upload(array, whole[1:4001])
    for unpin in reversed(undo):
        unpin()
    whole[:] = 0
    assert (device.download(array) == 7).all()
