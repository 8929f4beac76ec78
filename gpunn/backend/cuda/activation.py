"""Elementwise activations on CUDA."""

from __future__ import annotations

from typing import Any, Literal

from gpunn.backend.attributes import Activation, ActivationName
from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import striding_grid
from gpunn.backend.cuda.shared.vectors import Walk, walk_over

#: The enumeration of kernels/activation.cu; ReLU has a file of its own.
FUNCTIONS: tuple[ActivationName, ...] = (
    "linear",
    "step",
    "sigmoid",
    "tanh",
    "leaky_relu",
    "generalized_relu",
    "elu",
    "softplus",
    "swish",
)


def activation_forward(device: CudaDevice, y: Array, x: Array, function: Activation) -> None:
    """y = f(x); y may be x. A NaN stays one, except in the step function, where it gives 0.

    Raises:
        UsageError: for shapes or number types that differ.
    """
    walk = walk_over(device, "activation_forward", y=y, x=x)
    _launch(device, "forward", function, walk, {"y": y, "x": x})


def activation_backward(
    device: CudaDevice, gx: Array, gy: Array, saved: Array, function: Activation, accumulate: bool
) -> None:
    """gx = gy f'; gx may be gy. Where `saved` is NaN, the ReLU family takes the derivative of the left side.

    Raises:
        UsageError: for shapes or number types that differ.
    """
    walk = walk_over(device, "activation_backward", gx=gx, gy=gy, saved=saved)
    _launch(device, "backward", function, walk, {"gx": gx, "gy": gy, "saved": saved, "accumulate": accumulate})


def _launch(
    device: CudaDevice,
    direction: Literal["forward", "backward"],
    function: Activation,
    walk: Walk,
    arguments: dict[str, Any],
) -> None:
    name, chosen = "relu", {}
    if function.name != "relu":
        name, chosen = "activation", {"function": FUNCTIONS.index(function.name), "a": function.a}
    device.launcher.launch(
        f"{name}.cu",
        f"{name}_{direction}",
        striding_grid(walk.vectors),
        {**arguments, **walk.arguments, **chosen},
        walk.choices,
    )
