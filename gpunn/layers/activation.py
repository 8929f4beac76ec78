"""Elementwise functions of the lecture notes, and the learned ones."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.backend.attributes import Activation
from gpunn.geometry import Shape
from gpunn.initializers import Constant
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer, Parameter, require_one


class Identity(Layer):
    """x itself: a name for a place in the graph, at no cost."""

    kind = "identity"
    transparent = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return require_one(inputs)

    def forward(self, emit: Emitter) -> None:
        emit.pass_through()

    def backward(self, emit: Emitter) -> None:
        """The gradient of its output is that of its input."""


class Elementwise(Layer):
    """y = f(x) for one of the named functions of gpunn.backend.attributes.Activation."""

    def __init__(self, function: Activation, name: str | None = None) -> None:
        super().__init__(name)
        self.function = function
        self.kind = function.name

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return require_one(inputs)

    def forward(self, emit: Emitter) -> None:
        emit.call("activation_forward", writes={"y": emit.output}, reads={"x": emit.input()}, function=self.function)

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is not None:
            emit.call(
                "activation_backward",
                writes={"gx": target.buffer},
                reads={
                    "gy": emit.output_gradient(),
                    "saved": emit.input() if self.function.backward_reads == "x" else emit.output,
                },
                function=self.function,
                accumulate=target.accumulate,
            )


def Step(name: str | None = None) -> Elementwise:
    """1 for x > 0, else 0; no gradient passes."""
    return Elementwise(Activation("step"), name)


def Sigmoid(name: str | None = None) -> Elementwise:
    """1 / (1 + exp(-x))."""
    return Elementwise(Activation("sigmoid"), name)


def Tanh(name: str | None = None) -> Elementwise:
    """The hyperbolic tangent."""
    return Elementwise(Activation("tanh"), name)


def ReLU(name: str | None = None) -> Elementwise:
    """max(0, x) (Nair and Hinton, 2010)."""
    return Elementwise(Activation("relu"), name)


def Softplus(name: str | None = None) -> Elementwise:
    """log(1 + exp(x))."""
    return Elementwise(Activation("softplus"), name)


def Swish(name: str | None = None) -> Elementwise:
    """x / (1 + exp(-x)) (Ramachandran, Zoph and Le, 2017)."""
    return Elementwise(Activation("swish"), name)


def LeakyReLU(a: float = 0.1, name: str | None = None) -> Elementwise:
    """max(a x, x) with 0 <= a <= 1."""
    return Elementwise(Activation("leaky_relu", a), name)


def GeneralizedReLU(a: float, name: str | None = None) -> Elementwise:
    """max(0, x) + a min(0, x): a = -1 gives the absolute value, a small a is leaky."""
    return Elementwise(Activation("generalized_relu", a), name)


def ELU(a: float = 1.0, name: str | None = None) -> Elementwise:
    """x above 0, a (exp(x) - 1) below (Clevert, Unterthiner and Hochreiter, 2016)."""
    return Elementwise(Activation("elu", a), name)


class PReLU(Layer):
    """max(0, x) + a min(0, x) with a learned a per channel (He et al., 2015)."""

    kind = "prelu"

    def __init__(self, a: float = 0.25, name: str | None = None) -> None:
        super().__init__(name)
        self.slope = Constant(a)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return require_one(inputs)

    def parameters(self, inputs: Sequence[Shape]) -> Sequence[Parameter]:
        channels = inputs[0][-1]
        return (Parameter("slope", (channels,), self.slope, channels, decays=False),)

    def forward(self, emit: Emitter) -> None:
        emit.call(
            "parametric_relu_forward",
            writes={"y": emit.output},
            reads={"x": emit.input(), "slope": emit.parameter("slope")},
        )

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        slope = emit.required_parameter_gradient("slope")
        emit.call(
            "parametric_relu_backward",
            writes={"gx": target.buffer if target else None, "gslope": slope.buffer},
            reads={"gy": emit.output_gradient(), "x": emit.input(), "slope": emit.parameter("slope")},
            accumulate=target.accumulate if target else False,
            accumulate_parameters=slope.accumulate,
        )
