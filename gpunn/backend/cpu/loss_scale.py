"""Loss scaling: gradients of a narrow type are kept away from its smallest numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.attributes import LARGEST_LOSS_SCALE, LOSS_SCALE_PATIENCE
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import piece_spans

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_TRUTH = 170


def set_loss_scale(device: CpuDevice, loss_scale: Host, loss_share: Host, loss_multiplier: Host) -> None:
    """loss_scale = loss_share * loss_multiplier."""
    np.multiply(loss_share, loss_multiplier, out=loss_scale)


def unscale_gradients(
    device: CpuDevice, gradients: Host, loss_multiplier: Host, finite_steps: Host, apply: Host
) -> None:
    """gradients /= loss_multiplier; then the multiplier follows whether they are finite: see the contract."""
    if not apply[0]:
        return
    if not _divide(device, gradients, float(loss_multiplier[0])):
        apply[0] = 0
        loss_multiplier[0] = max(1.0, loss_multiplier[0] / 2)
        finite_steps[0] = 0
        return
    finite_steps[0] += 1
    if finite_steps[0] == LOSS_SCALE_PATIENCE:
        loss_multiplier[0] = min(LARGEST_LOSS_SCALE, loss_multiplier[0] * 2)
        finite_steps[0] = 0


def _divide(device: CpuDevice, gradients: Host, divisor: float) -> bool:
    """gradients /= divisor; whether all are finite afterwards."""
    spans = piece_spans(gradients.shape[0], gradients.size)
    finite = np.zeros(len(spans), np.bool_)

    def work(piece: int) -> None:
        part = gradients[spans[piece]]
        truth = device.scratch(_TRUTH, part.shape, np.bool_)
        np.divide(part, divisor, out=part)
        np.isfinite(part, out=truth)
        finite[piece] = truth.all()

    device.parallel(work, range(len(spans)))
    return bool(finite.all())
