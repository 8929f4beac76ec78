"""Local response normalisation over neighbouring channels (Krizhevsky, Sutskever and Hinton, 2012, section 3.3)."""

from __future__ import annotations

import numpy as np

from gpunn.backend.attributes import LocalResponse
from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block

#: NumPy calls that go over all numbers, besides one for each channel of a window.
_FORWARD, _BACKWARD = 8, 10


def _channel_frame(device: CpuDevice, shape: tuple[int, ...], before: int, n: int, x: Array) -> tuple[Array, Array]:
    """Scratch memory with n - 1 zero channels around those of a block: all of it, and the part inside."""
    C = shape[-1]
    frame = device.scratch(0, (*shape[:-1], C + n - 1), x.dtype)
    frame[..., :before].fill(0)
    frame[..., before + C :].fill(0)
    return frame, frame[..., before : before + C]


def _sum_over_channels(device: CpuDevice, frame: Array, n: int) -> tuple[Array, Array]:
    """The sum of n neighbouring channels of a frame, in scratch memory: as one run of numbers, and by channel.

    Pixels lie behind one another, so one long shifted addition serves them all; the zero channels keep them apart.
    """
    flat = frame.reshape(-1)
    memory = device.scratch(1, frame.shape, frame.dtype)
    run = memory.reshape(-1)[: flat.size - n + 1]
    np.copyto(run, flat[: run.size])
    for shift in range(1, n):
        np.add(run, flat[shift : shift + run.size], out=run)
    return run, memory[..., : frame.shape[-1] - n + 1]


def _power(device: CpuDevice, base: Array, exponent: float) -> Array:
    """base^exponent in scratch memory."""
    power = device.scratch(2, base.shape, base.dtype)
    if exponent == 0.75:
        # Two roots cost a third of a general power, and 3/4 is the exponent of the paper.
        root = device.scratch(3, base.shape, base.dtype)
        np.sqrt(base, out=root)
        np.sqrt(root, out=power)
        np.multiply(root, power, out=power)
    else:
        np.power(base, base.dtype.type(exponent), out=power)
    return power


def local_response_norm_forward(
    device: CpuDevice, y: Array, denominator: Array, x: Array, settings: LocalResponse
) -> None:
    """y = x / d^beta; d = k + alpha * sum of x^2 over channels c - n//2 to c - n//2 + n - 1, saved in `denominator`.

    All arrays are (N, H, W, C).
    """
    x, y, denominator = memory_order(x), memory_order(y), memory_order(denominator)
    n = settings.n

    def work(index: Index) -> None:
        block = x[index]
        frame, inside = _channel_frame(device, block.shape, n // 2, n, x)
        np.multiply(block, block, out=inside)
        run, sums = _sum_over_channels(device, frame, n)
        np.multiply(run, x.dtype.type(settings.alpha), out=run)
        np.add(run, x.dtype.type(settings.k), out=run)
        np.copyto(denominator[index], sums)
        np.divide(block, _power(device, denominator[index], settings.beta), out=y[index])

    for_each_block(device, work, blocks(x.shape[:-1], x.shape[-1]), (_FORWARD + n) * x.size)


def local_response_norm_backward(
    device: CpuDevice,
    gx: Array,
    gy: Array,
    x: Array,
    y: Array,
    denominator: Array,
    settings: LocalResponse,
    accumulate: bool,
) -> None:
    """gx = gy / d^beta - 2 alpha beta x * sum of gy y / d over the channels whose windows hold this one."""
    gx, gy, x, y, denominator = (memory_order(array) for array in (gx, gy, x, y, denominator))
    n = settings.n

    def work(index: Index) -> None:
        block, d = gy[index], denominator[index]
        frame, inside = _channel_frame(device, block.shape, n - 1 - n // 2, n, x)
        np.multiply(block, y[index], out=inside)
        np.divide(inside, d, out=inside)
        run, sums = _sum_over_channels(device, frame, n)
        np.multiply(run, x.dtype.type(-2 * settings.alpha * settings.beta), out=run)
        np.multiply(sums, x[index], out=sums)
        direct = _power(device, d, settings.beta)
        np.divide(block, direct, out=direct)
        target = gx[index]
        if accumulate:
            np.add(direct, sums, out=direct)
            np.add(target, direct, out=target)
        else:
            np.add(direct, sums, out=target)

    for_each_block(device, work, blocks(x.shape[:-1], x.shape[-1]), (_BACKWARD + n) * x.size)
