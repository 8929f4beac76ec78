"""Softmax as a layer, for networks that end in probabilities; training uses the loss that holds it instead."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.errors import ShapeError
from gpunn.geometry import Shape
from gpunn.graph import describe_shape
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer, require_one


class Softmax(Layer):
    """exp(x) / sum exp(x) over the features of a vector."""

    kind = "softmax"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = require_one(inputs)
        if len(shape) != 1:
            raise ShapeError(f"expects a vector, got {describe_shape(shape)}; put a Flatten() before it")
        return shape

    def forward(self, emit: Emitter) -> None:
        emit.call("softmax_forward", writes={"y": emit.output}, reads={"x": emit.input()})

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is not None:
            emit.call(
                "softmax_backward",
                writes={"gx": target.buffer},
                reads={"gy": emit.output_gradient(), "y": emit.output},
                accumulate=target.accumulate,
            )
