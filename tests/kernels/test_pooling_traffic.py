"""What maximum pooling moves, from recorded addresses: whole sectors, and each no oftener than its windows overlap."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.emulator.profile import BufferTraffic
from gpunn.geometry import Pair, Pool2dGeometry
from tests.backend.arrays import BFLOAT16, reals, unwritten, upload
from tests.backend.emulator.devices import recording_emulator


def traffic(window: int) -> tuple[Pool2dGeometry, dict[str, BufferTraffic]]:
    """Of both passes, by "pass array"; every window and every cell of gx is whole."""
    geometry = Pool2dGeometry(2, 8 + window - 2, 8 + window - 2, 64, window, window, Pair(2, 2))
    with recording_emulator() as (device, executor):
        x = upload(device, reals(1, geometry.input_shape, BFLOAT16))
        gx, y = (unwritten(device, shape, BFLOAT16) for shape in (geometry.input_shape, geometry.output_shape))
        argmax, gy = unwritten(device, y.shape, np.uint8), upload(device, reals(2, geometry.output_shape, BFLOAT16))
        device.primitives.maximum_pool2d_forward(device, y, argmax, x, geometry)
        device.primitives.maximum_pool2d_backward(device, gx, gy, argmax, geometry, False)
        moved = executor.profile.buffers
    return geometry, {f"{kernel.rsplit('_', 1)[1]} {argument}": found for (kernel, argument), found in moved.items()}


@pytest.mark.parametrize(("window", "windows_of_a_cell"), [(2, 1), (3, 4)])
def test_maximum_pooling(window: int, windows_of_a_cell: int) -> None:
    geometry, moved = traffic(window)
    outputs, inputs = int(np.prod(geometry.output_shape)), int(np.prod(geometry.input_shape))
    cells = int(np.prod((2, -(-geometry.H // 2), -(-geometry.W // 2), 64)))
    largest = {
        "forward x": window * window * outputs * 2,
        "backward gy": windows_of_a_cell * cells * 2,
        "backward argmax": windows_of_a_cell * cells,
    }
    for name, sector_bytes in largest.items():
        assert moved[name].sector_bytes_read <= sector_bytes, name
    written = {"forward y": outputs * 2, "forward argmax": outputs, "backward gx": inputs * 2}
    for name, size in written.items():
        assert (moved[name].bytes_written, moved[name].sector_bytes_written) == (size, size), name
    once = {"forward x": inputs * 2, "backward gy": outputs * 2, "backward argmax": outputs}
    for name, size in once.items():
        assert moved[name].bytes_read == size, name
