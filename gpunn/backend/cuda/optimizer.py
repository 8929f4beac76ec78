"""The optimisers on CUDA: one launch updates every weight. The formulas are those of gpunn.backend.attributes."""

from __future__ import annotations

from typing import Any

from gpunn.arena import SegmentTable
from gpunn.backend.attributes import AdaGradRule, AdamRule, RmsPropRule, SgdRule
from gpunn.backend.contract import Array
from gpunn.backend.cuda.chunk_table import require_flat
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import UsageError

#: As in kernels/sgd.cu.
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
    """One step of gradient descent: see SgdRule.

    Raises:
        UsageError: when momentum has no velocity to keep, or the arrays are no flat arrays of these segments.
    """
    if rule.momentum != 0 and velocity is None:
        raise UsageError(f"sgd: momentum {rule.momentum} needs a velocity array; got None")
    _launch(
        device,
        "sgd",
        segments,
        {"parameters": parameters, "rounded": rounded, "velocity": velocity, "gradients": gradients},
        {"learning_rate": learning_rate, "gradient_scale": gradient_scale, "step": step, "apply": apply},
        {
            "momentum": rule.momentum,
            "style": _STYLES[rule.style],
            "bias_correction": rule.style == "ema" and rule.bias_correction,
        },
    )


def adam(
    device: CudaDevice,
    parameters: Array,
    rounded: Array | None,
    first_moment: Array,
    second_moment: Array,
    gradients: Array,
    learning_rate: Array,
    gradient_scale: Array,
    step: Array,
    apply: Array,
    segments: SegmentTable,
    rule: AdamRule,
) -> None:
    """One step of Adam or AdamW: see AdamRule.

    Raises:
        UsageError: when the arrays are no flat arrays of these segments.
    """
    _launch(
        device,
        "adam",
        segments,
        {
            "parameters": parameters,
            "rounded": rounded,
            "first_moment": first_moment,
            "second_moment": second_moment,
            "gradients": gradients,
        },
        {"learning_rate": learning_rate, "gradient_scale": gradient_scale, "step": step, "apply": apply},
        {"beta1": rule.beta1, "beta2": rule.beta2, "eps": rule.eps, "decoupled": rule.decoupled},
    )


def rmsprop(
    device: CudaDevice,
    parameters: Array,
    rounded: Array | None,
    mean_square: Array,
    gradients: Array,
    learning_rate: Array,
    gradient_scale: Array,
    step: Array,
    apply: Array,
    segments: SegmentTable,
    rule: RmsPropRule,
) -> None:
    """One step of RMSProp: see RmsPropRule.

    Raises:
        UsageError: when the arrays are no flat arrays of these segments.
    """
    _launch(
        device,
        "rmsprop",
        segments,
        {"parameters": parameters, "rounded": rounded, "mean_square": mean_square, "gradients": gradients},
        {"learning_rate": learning_rate, "gradient_scale": gradient_scale, "apply": apply},
        {"rho": rule.rho, "eps": rule.eps},
    )


def adagrad(
    device: CudaDevice,
    parameters: Array,
    rounded: Array | None,
    sum_of_squares: Array,
    gradients: Array,
    learning_rate: Array,
    gradient_scale: Array,
    step: Array,
    apply: Array,
    segments: SegmentTable,
    rule: AdaGradRule,
) -> None:
    """One step of AdaGrad: see AdaGradRule.

    Raises:
        UsageError: when the arrays are no flat arrays of these segments.
    """
    _launch(
        device,
        "adagrad",
        segments,
        {"parameters": parameters, "rounded": rounded, "sum_of_squares": sum_of_squares, "gradients": gradients},
        {"learning_rate": learning_rate, "gradient_scale": gradient_scale, "apply": apply},
        {"delta": rule.delta},
    )


def _launch(
    device: CudaDevice,
    kernel: str,
    segments: SegmentTable,
    flat: dict[str, Array | None],
    controls: dict[str, Array],
    settings: dict[str, Any],
) -> None:
    table = device.chunk_tables.trainable(segments)
    require_flat(device.memory, kernel, table.stop, **flat)
    if table.chunks == 0:
        return
    rounded = flat["rounded"]
    device.launcher.launch(
        f"{kernel}.cu",
        kernel,
        table.grid,
        {
            **flat,
            **controls,
            **settings,
            "chunk_number": table.chunk_number,
            "learning_rate_factor": table.learning_rate_factor,
            "decay": table.decay,
            "chunks": table.chunks,
        },
        {"ROUNDED": "float"} if rounded is None else {},
    )
