"""What surrounds an optimiser step: is it finite, how long is its gradient, and does it count."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from gpunn.arena import SegmentTable
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import merge_axes, piece_spans, share_out

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_TRUTH, _WIDE = 160, 161


def finite_check(device: CpuDevice, apply: Host, latched_step: Host, values: Host, step: Host) -> None:
    """Clear `apply` when a value is not finite, and keep the first such step in `latched_step` (-1: none)."""
    (merged,) = merge_axes([values])
    spans = piece_spans(merged.shape[0], merged.size)
    finite = np.zeros(len(spans), np.bool_)

    def work(piece: int) -> None:
        part = merged[spans[piece]]
        truth = device.scratch(_TRUTH, part.shape, np.bool_)
        np.isfinite(part, out=truth)
        finite[piece] = truth.all()

    device.parallel(work, range(len(spans)))
    if not finite.all():
        apply[0] = 0
        if latched_step[0] < 0:
            latched_step[0] = step[0]


def clip_global_norm(
    device: CpuDevice, norm: Host, gradient_scale: Host, gradients: Host, segments: SegmentTable, maximum: float
) -> None:
    """norm = the root of the sum of squares of all trainable gradients; gradient_scale = min(1, maximum / norm).

    Summed in float64. It does not mend gradients that are not finite: finite_check is what voids such a step.
    """
    shares = share_out(segments.runs)
    sums = np.zeros(len(shares), np.float64)

    def work(share: int) -> None:
        for piece in shares[share]:
            wide = device.scratch(_WIDE, (piece.span.stop - piece.span.start,), np.float64)
            np.copyto(wide, gradients[piece.span])
            sums[share] += np.dot(wide, wide)

    device.parallel(work, range(len(shares)))
    length = sqrt(np.add.reduce(sums))
    norm[0] = length
    gradient_scale[0] = maximum / length if length > maximum else 1.0


def commit_statistics(device: CpuDevice, statistics: Host, pending: Host, apply: Host) -> None:
    """statistics = pending, or the reverse when the step is void."""
    if apply[0]:
        np.copyto(statistics, pending)
    else:
        np.copyto(pending, statistics)


def advance(device: CpuDevice, step: Host, apply: Host, latched_step: Host) -> None:
    """step += 1 and apply = 1, as long as latched_step is -1."""
    if latched_step[0] < 0:
        step[0] += 1
        apply[0] = 1
