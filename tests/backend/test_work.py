"""What devices say of how they computed, and how often they multiplied, counted by loops over pixels and taps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, Arithmetic
from gpunn.backend.contract import Device
from gpunn.backend.cpu.convolution_algorithms.choosing import BACKWARD_DATA
from gpunn.backend.emulator import open_emulator
from gpunn.backend.work import Journal, Work
from gpunn.geometry import Conv2dGeometry, LinearGeometry, Padding, Pair
from tests.backend.arrays import FLOAT32, unwritten, upload, workspace
from tests.reference.convolution import taps

FLOAT = Arithmetic("float32")
GATHERED = Conv2dGeometry(2, 7, 6, 4, 6, 3, 2, Pair(2, 1), Padding(1, 0, 1, 1), groups=2)
DILATED = Conv2dGeometry(1, 9, 9, 3, 4, 3, 3, Pair(2, 2), Padding(2, 2, 2, 2), Pair(2, 3))
FEW_CHANNELS = Conv2dGeometry(16, 31, 19, 3, 64, 5, 3, Pair(1, 1), Padding(2, 2, 1, 1))


def backward_data(device: Device, g: Conv2dGeometry) -> Callable[[], None]:
    draw = np.random.default_rng(1)
    gx = unwritten(device, g.input_shape, FLOAT32)
    gy, w = (upload(device, draw.standard_normal(shape).astype(FLOAT32)) for shape in (g.output_shape, g.filter_shape))
    size = device.primitives.convolution2d_backward_data_workspace(device, g, np.dtype(FLOAT32), FLOAT)
    call = device.primitives.convolution2d_backward_data
    return partial(call, device, gx, gy, w, None, g, LINEAR, False, FLOAT, workspace(device, size))


def gathered_products(g: Conv2dGeometry) -> int:
    """Every pixel of the image meets each tap whose output would lie at a whole place, inside or not."""
    found = 0
    for h in range(g.H):
        for r in range(g.R):
            if (h + g.padding.top - r * g.dilation.rows) % g.stride.rows:
                continue
            for column in range(g.W):
                for s in range(g.S):
                    found += (column + g.padding.left - s * g.dilation.columns) % g.stride.columns == 0
    return found * g.N * g.C * g.K // g.groups


def tapwise_products(g: Conv2dGeometry) -> int:
    """Every pixel of the output meets each tap whose row lies in the image."""
    found = 0
    for p in range(g.P):
        for r in range(g.R):
            if 0 <= p * g.stride.rows + r * g.dilation.rows - g.padding.top < g.H:
                found += g.Q * g.S
    return found * g.N * g.C * g.K // g.groups


def products_within(g: Conv2dGeometry) -> int:
    """Every pixel of the output meets each tap that lies in the image."""
    return sum(1 for _ in taps(g)) * g.N * g.C * g.K // g.groups


@pytest.mark.parametrize("geometry", [GATHERED, DILATED], ids=["grouped", "dilated"])
def test_the_cpu_gathers(geometry: Conv2dGeometry) -> None:
    assert work_of("direct", geometry) == 2 * gathered_products(geometry)
    assert work_of("K-major im2col", geometry) == 2 * gathered_products(geometry)


def test_the_cpu_goes_tap_by_tap(cpu: Device) -> None:
    work = cpu.observe(backward_data(cpu, FEW_CHANNELS))
    assert work == Work("tapwise", 2 * tapwise_products(FEW_CHANNELS))
    assert work.flops is not None
    assert work.flops < FEW_CHANNELS.flops


def test_shifted_products_leave_out_what_meets_padding() -> None:
    assert work_of("shifted products", DILATED) == 2 * products_within(DILATED)
    assert work_of("shifted products", FEW_CHANNELS) == 2 * products_within(FEW_CHANNELS)


def work_of(name: str, geometry: Conv2dGeometry) -> int:
    """What an algorithm of backward-data says that it executes."""
    return next(one for one in BACKWARD_DATA if one.name == name).flops(geometry)


def test_where_there_is_no_choice(cpu: Device) -> None:
    y = unwritten(cpu, (4, 3), FLOAT32)
    assert cpu.observe(lambda: cpu.primitives.fill(cpu, y, 1.0)) == Work("NumPy", None)
    assert (cpu.download(y) == 1).all()


def test_kernels_execute_whole_tiles() -> None:
    device = open_emulator()
    g = LinearGeometry(5, 19, 7)
    draw = np.random.default_rng(2)
    x, w = (upload(device, draw.standard_normal(shape).astype(FLOAT32)) for shape in (g.input_shape, g.weight_shape))
    y = unwritten(device, g.output_shape, FLOAT32)
    size = device.primitives.linear_forward_workspace(device, g, np.dtype(FLOAT32), FLOAT)
    scratch = workspace(device, size)
    run = partial(device.primitives.linear_forward, device, y, x, w, None, g, LINEAR, FLOAT, scratch)
    # One tile of 64 rows and 64 columns, over 19 inputs.
    assert device.observe(run) == Work("simt 64", 2 * 64 * 64 * 19)
    np.testing.assert_allclose(device.download(y), device.download(x) @ device.download(w), rtol=1e-5)
    # Flat arrays go to a kernel of their own, which is named.
    assert device.observe(lambda: device.primitives.fill(device, y, 1.0)) == Work("fill", None)
    device.close()


def test_tensor_cores_execute_whole_tiles() -> None:
    device = open_emulator()
    g = Conv2dGeometry(2, 6, 6, 8, 16, 3, 3)
    arithmetic, dtype = Arithmetic("tf32"), np.dtype(FLOAT32)
    draw = np.random.default_rng(3)
    x, w = (upload(device, draw.standard_normal(shape).astype(FLOAT32)) for shape in (g.input_shape, g.filter_shape))
    y = unwritten(device, g.output_shape, FLOAT32)
    scratch = workspace(device, device.primitives.convolution2d_forward_workspace(device, g, dtype, arithmetic))
    run = partial(device.primitives.convolution2d_forward, device, y, x, w, None, g, LINEAR, arithmetic, scratch)
    # 32 outputs of 16 filters: one tile, over 3 x 3 taps of 8 channels.
    assert device.observe(run) == Work("tensor aligned_64x64", 2 * 64 * 64 * 72)
    device.close()


def test_a_journal_is_silent_unless_asked() -> None:
    journal = Journal()
    journal.chose("direct", lambda: pytest.fail("nobody asked"))
    journal.ran("copy")
    assert journal.observe(lambda: None, "nothing") == Work("nothing", None)


def test_a_journal_adds_up() -> None:
    journal = Journal()

    def run() -> None:
        for flops in (3, 4):
            journal.ran("kernel")
            journal.chose("direct", lambda flops=flops: flops)

    assert journal.observe(run, "nothing") == Work("direct", 7)

    def unknown() -> None:
        run()
        journal.chose("BLAS")

    assert journal.observe(unknown, "nothing") == Work("direct + BLAS", None)


def test_an_error_ends_the_entry() -> None:
    journal = Journal()
    with pytest.raises(ZeroDivisionError):
        journal.observe(lambda: print(1 // 0), "nothing")
    assert journal.observe(lambda: journal.ran("copy"), "nothing") == Work("copy", None)


@pytest.mark.parametrize("name", ["cpu", "emulator"])
def test_steps_are_carried_out_in_order(cpu: Device, name: str) -> None:
    device = cpu if name == "cpu" else open_emulator()
    done: list[int] = []
    seconds = device.timed([partial(done.append, number) for number in range(3)])
    assert done == [0, 1, 2]
    assert len(seconds) == 3
    assert min(seconds) > 0


def test_the_library_of_the_cpu_multiplies(cpu: Device) -> None:
    draw = np.random.default_rng(4)
    x, w = draw.standard_normal((5, 4)), draw.standard_normal((4, 3))
    y = unwritten(cpu, (5, 3), np.float64)
    assert cpu.library_product(y, upload(cpu, x, "plain"), upload(cpu, w, "plain")) == "NumPy's BLAS"
    np.testing.assert_allclose(cpu.download(y), np.einsum("ni,io->no", x, w), rtol=1e-12)


def test_the_emulator_has_no_library() -> None:
    device = open_emulator()
    x = upload(device, np.ones((2, 2), FLOAT32), "plain")
    y = upload(device, np.zeros((2, 2), FLOAT32), "plain")
    assert device.library_product(y, x, x) is None
    assert not device.download(y).any()
    assert device.hardware.startswith("emulated on ")
