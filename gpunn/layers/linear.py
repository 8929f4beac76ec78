"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpunn.backend.attributes import LINEAR
from gpunn.errors import ShapeError, UsageError
from gpunn.geometry import LinearGeometry, Shape, is_whole
from gpunn.graph import Node, describe_shape, image_size_that_fits
from gpunn.initializers import HeNormal, Initializer, Zeros
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer, Parameter, require_one


def _article(number: int) -> str:
    """ "an" before 8, 11, 18 and 80, spoken as they are read; "a" before others."""
    return "an" if str(number).startswith("8") or number in (11, 18) else "a"


class Linear(Layer):
    """y = x w + bias.

    Args:
        inputs: how many features it expects; None takes what comes.
        outputs: how many it gives.
        bias: add a number per output.
        weight: initialiser of w, He's normal by default.
        bias_value: initialiser of the biases, zeros by default.
    """

    kind = "linear"
    widens = True

    def __init__(
        self,
        inputs: int | None,
        outputs: int,
        bias: bool = True,
        weight: Initializer | None = None,
        bias_value: Initializer | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not (is_whole(outputs) and outputs >= 1):
            raise UsageError(f"a linear layer with {outputs} outputs; it needs a whole number of 1 or more")
        if inputs is not None and not (is_whole(inputs) and inputs >= 1):
            raise UsageError(f"a linear layer with {inputs} inputs; it needs a whole number of 1 or more, or None")
        self.inputs = inputs
        self.outputs = outputs
        self.bias = bias
        self.weight = weight or HeNormal()
        self.bias_value = bias_value or Zeros()

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = require_one(inputs)
        if len(shape) != 1:
            raise ShapeError(f"expects a vector, got {describe_shape(shape)}; put a Flatten() before it")
        if self.inputs is not None and shape != (self.inputs,):
            raise ShapeError(f"expects {self.inputs} inputs, got {shape[0]}")
        return (self.outputs,)

    def advice(self, inputs: Sequence[Node]) -> str:
        if len(inputs) != 1 or len(inputs[0].shape) != 1 or self.inputs is None:
            return ""
        image = image_size_that_fits(inputs[0], self.inputs)
        larger = f" or {_article(image)} {image}x{image} image" if image else ""
        return f"use Linear({inputs[0].shape[0]}, ...){larger}"

    def parameters(self, inputs: Sequence[Shape]) -> Sequence[Parameter]:
        (fan_in,) = inputs[0]
        weight = Parameter("weight", (fan_in, self.outputs), self.weight, fan_in)
        bias = Parameter("bias", (self.outputs,), self.bias_value, fan_in, decays=False)
        return (weight, bias) if self.bias else (weight,)

    def flops(self, inputs: Sequence[Shape]) -> int:
        return 2 * inputs[0][0] * self.outputs

    def forward(self, emit: Emitter) -> None:
        self._call(
            emit,
            "linear_forward",
            writes={"y": emit.output},
            reads={
                "x": emit.input(),
                "w": emit.factor("weight"),
                "bias": emit.parameter("bias") if self.bias else None,
            },
            activation=LINEAR,
        )

    def backward(self, emit: Emitter) -> None:
        weight = emit.parameter_gradient("weight")
        if weight is not None:
            bias = emit.parameter_gradient("bias") if self.bias else None
            self._call(
                emit,
                "linear_backward_weight",
                writes={"gw": weight.buffer, "gbias": bias.buffer if bias else None},
                reads={"x": emit.input(), "gy": emit.output_gradient()},
                accumulate=weight.accumulate,
            )
        source = emit.input_gradient()
        if source is not None:
            self._call(
                emit,
                "linear_backward_data",
                writes={"gx": source.buffer},
                reads={"gy": emit.output_gradient(), "w": emit.factor("weight"), "saved": None},
                activation=LINEAR,
                accumulate=source.accumulate,
            )

    def _call(
        self, emit: Emitter, primitive: str, writes: dict[str, Any], reads: dict[str, Any], **settings: object
    ) -> None:
        """What all three primitives take besides."""
        geometry = LinearGeometry(emit.batch, emit.input().shape[1], self.outputs)
        scratch = emit.workspace(primitive, geometry, arithmetic=emit.arithmetic)
        emit.call(
            primitive,
            writes,
            {**reads, "workspace": scratch},
            geometry=geometry,
            arithmetic=emit.arithmetic,
            **settings,
        )
