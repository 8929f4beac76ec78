"""Layers that change no value: flatten, and the merging of branches."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gpunn.errors import ShapeError
from gpunn.geometry import Shape
from gpunn.graph import describe_shape
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer, require_one


class Flatten(Layer):
    """An image as a vector, in the order row, column, channel."""

    kind = "flatten"
    transparent = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return (prod(require_one(inputs)),)

    def forward(self, emit: Emitter) -> None:
        if len(emit.input().shape) == 2:
            emit.pass_through()
        else:
            emit.call("flatten_forward", writes={"y": emit.output}, reads={"x": emit.input()})

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is not None:
            emit.call(
                "flatten_backward",
                writes={"gx": target.buffer},
                reads={"gy": emit.output_gradient()},
                accumulate=target.accumulate,
            )


class Add(Layer):
    """The sum of equal shapes: the end of a skip connection (He et al., 2016)."""

    kind = "add"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if any(shape != inputs[0] for shape in inputs):
            raise ShapeError(f"expects equal shapes, got {' and '.join(map(describe_shape, inputs))}")
        return inputs[0]

    def forward(self, emit: Emitter) -> None:
        emit.call("add", writes={"y": emit.output}, reads={"xs": emit.inputs})

    def backward(self, emit: Emitter) -> None:
        for position in range(len(emit.inputs)):
            target = emit.input_gradient(position)
            if target is not None:
                emit.call(
                    "copy",
                    writes={"y": target.buffer},
                    reads={"x": emit.output_gradient()},
                    accumulate=target.accumulate,
                )


class Concatenate(Layer):
    """The channels of all inputs, one after another; rows and columns must agree."""

    kind = "concatenate"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if any(shape[:-1] != inputs[0][:-1] for shape in inputs):
            raise ShapeError(f"expects equal rows and columns, got {' and '.join(map(describe_shape, inputs))}")
        return (*inputs[0][:-1], sum(shape[-1] for shape in inputs))

    def forward(self, emit: Emitter) -> None:
        emit.call("concatenate_forward", writes={"y": emit.output}, reads={"xs": emit.inputs})

    def backward(self, emit: Emitter) -> None:
        start = 0
        for position, source in enumerate(emit.inputs):
            target = emit.input_gradient(position)
            if target is not None:
                emit.call(
                    "concatenate_backward",
                    writes={"gx": target.buffer},
                    reads={"gy": emit.output_gradient()},
                    start=start,
                    accumulate=target.accumulate,
                )
            start += source.shape[-1]
