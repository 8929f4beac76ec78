"""The optimisers on CUDA: one launch updates every weight."""

from __future__ import annotations

from gpunn.arena import ALIGNMENT, SegmentTable
from gpunn.backend.attributes import SgdRule
from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launch import STRIDING_BLOCK, striding_grid
from gpunn.errors import UsageError

#: As in kernels/sgd.cu.
_CHUNKS_PER_BLOCK = STRIDING_BLOCK // ALIGNMENT
_STYLES = {"classic": 0, "ema": 1, "nesterov": 2}


def sgd(
    device: CudaDevice,
    parameters: Array,
    rounded: Array | None,
    velocity: Array | None,
    gradients: Array,
    learning_rate: Array,
    gradient_scale: Array,
    step: Array,
    apply: Array,
    segments: SegmentTable,
    rule: SgdRule,
) -> None:
    """One step over all trainable parameters; float32. See SgdRule.

    Raises:
        UsageError: when momentum has no velocity to keep, or the arrays differ in size or are shorter than the table.
    """
    if rule.momentum != 0 and velocity is None:
        raise UsageError(f"sgd: momentum {rule.momentum} needs a velocity array; got None")
    sizes = {array.size for array in (parameters, velocity, gradients) if array is not None}
    needed = max((run.stop for run in segments.runs), default=0)
    if len(sizes) > 1 or parameters.size < needed:
        raise UsageError(f"sgd: arrays of {sorted(sizes)} elements; all must have one size, at least {needed}")
    table = device.chunk_tables.of(segments)
    if table.chunks == 0:
        return
    device.launcher.launch(
        "sgd.cu",
        "sgd",
        striding_grid(table.chunks, _CHUNKS_PER_BLOCK),
        {
            "parameters": parameters,
            "velocity": velocity,
            "gradients": gradients,
            "learning_rate": learning_rate,
            "gradient_scale": gradient_scale,
            "step": step,
            "apply": apply,
            "chunk_number": table.chunk_number,
            "learning_rate_factor": table.learning_rate_factor,
            "decay": table.decay,
            "chunks": table.chunks,
            "elements": parameters.size,
            "momentum": rule.momentum,
            "style": _STYLES[rule.style],
            "bias_correction": rule.style == "ema" and rule.bias_correction,
        },
    )
