"""Penalties on the size of weights: L1, L2 and every other power."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.arena import Run, SegmentTable
from gpunn.backend.attributes import Penalty
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import share_out

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_POWER, _SIGN = 140, 141


def penalty_value(device: CpuDevice, value: Host, parameters: Host, segments: SegmentTable, penalty: Penalty) -> None:
    """value = strength / p * sum |w|^p over the segments with decay."""
    shares = share_out(_decaying(segments))
    sums = np.zeros(len(shares), np.float64)

    def work(share: int) -> None:
        for piece in shares[share]:
            w = parameters[piece.span]
            power = device.scratch(_POWER, w.shape, np.float64)
            np.abs(w, out=power)
            np.power(power, penalty.p, out=power)
            sums[share] += np.add.reduce(power)

    device.parallel(work, range(len(shares)))
    value[0] = penalty.strength / penalty.p * np.add.reduce(sums)


def penalty_gradient(
    device: CpuDevice, gradients: Host, parameters: Host, segments: SegmentTable, penalty: Penalty
) -> None:
    """gradients += strength * |w|^(p-1) * sign(w) over the segments with decay; a weight of 0 adds 0 for every p."""
    shares = share_out(_decaying(segments))

    def work(share: int) -> None:
        for piece in shares[share]:
            w, gradient = parameters[piece.span], gradients[piece.span]
            power = device.scratch(_POWER, w.shape, w.dtype)
            if penalty.p == 2:
                np.multiply(w, penalty.strength, out=power)
            else:
                sign = device.scratch(_SIGN, w.shape, w.dtype)
                np.sign(w, out=sign)
                np.abs(w, out=power)
                np.power(power, penalty.p - 1, out=power, where=power != 0)
                np.multiply(power, sign, out=power)
                np.multiply(power, penalty.strength, out=power)
            np.add(gradient, power, out=gradient)

    device.parallel(work, range(len(shares)))


def _decaying(segments: SegmentTable) -> list[Run]:
    """The segments with decay, each a run."""
    return [
        Run(segment.offset, segment.stop, segment.learning_rate_factor, segment.decay)
        for segment in segments
        if segment.decay != 0
    ]
