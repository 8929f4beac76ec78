"""Both sides layer by layer, beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpunn.timing.report import LayerTimes


@dataclass(frozen=True)
class LayerPair:
    """A row of the step: milliseconds of both sides, means over the middle half of the steps.

    Attributes:
        ratio: gpunn's time over PyTorch's, both directions together; None where PyTorch took none.
        gpunn_algorithm: what ran, forward / backward.
        pytorch_algorithm: the modules whose passes the row holds.
    """

    name: str
    kind: str
    gpunn_forward_ms: float
    gpunn_backward_ms: float
    pytorch_forward_ms: float
    pytorch_backward_ms: float
    ratio: float | None
    gpunn_algorithm: str
    pytorch_algorithm: str


def beside(ours: Sequence[LayerTimes], theirs: Sequence[LayerTimes]) -> tuple[LayerPair, ...]:
    """The same rows of both sides."""
    return tuple(_pair(*rows) for rows in zip(ours, theirs, strict=True))


def _pair(ours: LayerTimes, theirs: LayerTimes) -> LayerPair:
    taken = theirs.forward_ms + theirs.backward_ms
    return LayerPair(
        name=ours.name,
        kind=ours.kind,
        gpunn_forward_ms=ours.forward_ms,
        gpunn_backward_ms=ours.backward_ms,
        pytorch_forward_ms=theirs.forward_ms,
        pytorch_backward_ms=theirs.backward_ms,
        ratio=(ours.forward_ms + ours.backward_ms) / taken if taken else None,
        gpunn_algorithm=ours.algorithm,
        pytorch_algorithm=theirs.algorithm,
    )


def table(rows: Sequence[LayerPair]) -> str:
    """Lines for people."""
    width = max(map(len, (row.name for row in rows)))
    title = f"{'layer':{width}}  {'gpunn ms':>17}  {'PyTorch ms':>17}  ratio  algorithm"
    head = f"{'':{width}}  {'forward':>8} {'backward':>8}  {'forward':>8} {'backward':>8}"
    return "\n".join([title, head, *(_line(row, width) for row in rows)])


def _line(row: LayerPair, width: int) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (
        f"{row.name:{width}}  {row.gpunn_forward_ms:8.2f} {row.gpunn_backward_ms:8.2f}  "
        f"{row.pytorch_forward_ms:8.2f} {row.pytorch_backward_ms:8.2f}  {ratio:>5}  {row.gpunn_algorithm}"
    )
