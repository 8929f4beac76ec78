"""Normalisation by statistics of the batch, of a group of channels, or of neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.backend.attributes import LINEAR, LocalResponse, Normalization
from gpunn.errors import ShapeError, UsageError
from gpunn.geometry import Shape, is_whole
from gpunn.initializers import Constant, Zeros
from gpunn.layers.emitter import Emitter, Target
from gpunn.layers.layer import Layer, Parameter, Statistic, require_image, require_one


def _scale_and_shift(channels: int) -> tuple[Parameter, Parameter]:
    return (
        Parameter("weight", (channels,), Constant(1.0), channels, decays=False),
        Parameter("bias", (channels,), Zeros(), channels, decays=False),
    )


def _scale_and_shift_gradients(emit: Emitter) -> tuple[Target, Target]:
    return emit.required_parameter_gradient("weight"), emit.required_parameter_gradient("bias")


class BatchNorm(Layer):
    """Each channel with the mean and variance of the batch; with running ones at evaluation (Ioffe, Szegedy 2015).

    Args:
        eps: added to the variance inside the root.
        momentum: running = (1 - momentum) * running + momentum * batch.
    """

    kind = "bn"

    def __init__(self, eps: float = 1e-5, momentum: float = 0.1, name: str | None = None) -> None:
        super().__init__(name)
        self.settings = Normalization(eps, momentum)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return require_one(inputs)

    def parameters(self, inputs: Sequence[Shape]) -> Sequence[Parameter]:
        return _scale_and_shift(inputs[0][-1])

    def statistics(self, inputs: Sequence[Shape]) -> Sequence[Statistic]:
        channels = inputs[0][-1:]
        return (Statistic("running_mean", channels, 0.0), Statistic("running_variance", channels, 1.0))

    def forward(self, emit: Emitter) -> None:
        scale = {"gamma": emit.parameter("weight"), "beta": emit.parameter("bias")}
        running = {name: emit.statistic(name) for name in ("running_mean", "running_variance")}
        if not emit.training:
            emit.call(
                "batch_norm_inference",
                writes={"y": emit.output},
                reads={"x": emit.input(), **running, **scale},
                settings=self.settings,
                activation=LINEAR,
            )
            return
        channels = emit.output.shape[-1:]
        emit.call(
            "batch_norm_forward",
            writes={
                "y": emit.output,
                "mean": emit.saved("mean", channels, emit.accumulated),
                "inverse_deviation": emit.saved("inverse_deviation", channels, emit.accumulated),
                **running,
            },
            reads={"x": emit.input(), **scale},
            settings=self.settings,
            activation=LINEAR,
        )

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if not emit.training:
            if target is not None:
                self._backward_of_inference(emit, target)
            return
        channels = emit.output.shape[-1:]
        gamma, beta = _scale_and_shift_gradients(emit)
        emit.call(
            "batch_norm_backward",
            writes={"gx": target.buffer if target else None, "ggamma": gamma.buffer, "gbeta": beta.buffer},
            reads={
                "gy": emit.output_gradient(),
                "x": emit.input(),
                "mean": emit.saved("mean", channels, emit.accumulated),
                "inverse_deviation": emit.saved("inverse_deviation", channels, emit.accumulated),
                "gamma": emit.parameter("weight"),
            },
            accumulate=target.accumulate if target else False,
            accumulate_parameters=gamma.accumulate,
        )

    def _backward_of_inference(self, emit: Emitter, target: Target) -> None:
        """gx = gamma gy / sqrt(running variance + eps): the same function of gy, with mean and beta zero."""
        variance = emit.statistic("running_variance")
        zero = emit.saved("zero", variance.shape, variance.dtype)
        product = emit.saved("scaled gradient", emit.output.shape, layout="images") if target.accumulate else None
        emit.call("fill", writes={"y": zero}, reads={}, value=0.0)
        emit.call(
            "batch_norm_inference",
            writes={"y": product or target.buffer},
            reads={
                "x": emit.output_gradient(),
                "running_mean": zero,
                "running_variance": variance,
                "gamma": emit.parameter("weight"),
                "beta": zero,
            },
            settings=self.settings,
            activation=LINEAR,
        )
        if product is not None:
            emit.call("copy", writes={"y": target.buffer}, reads={"x": product}, accumulate=True)


class GroupNorm(Layer):
    """Each image by itself, over the rows, columns and channels of a group (Wu and He, 2018)."""

    kind = "gn"

    def __init__(self, groups: int, eps: float = 1e-5, name: str | None = None) -> None:
        super().__init__(name)
        if not (is_whole(groups) and groups >= 1):
            raise UsageError(f"a group norm with {groups} groups; it needs a whole number of 1 or more")
        self.groups = groups
        self.eps = Normalization(eps).eps

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = require_one(inputs)
        if shape[-1] % self.groups:
            raise ShapeError(f"has {self.groups} groups, which do not divide {shape[-1]} channels")
        return shape

    def parameters(self, inputs: Sequence[Shape]) -> Sequence[Parameter]:
        return _scale_and_shift(inputs[0][-1])

    def forward(self, emit: Emitter) -> None:
        per_group = (emit.batch, self.groups)
        emit.call(
            "group_norm_forward",
            writes={
                "y": emit.output,
                "mean": emit.saved("mean", per_group, emit.accumulated),
                "inverse_deviation": emit.saved("inverse_deviation", per_group, emit.accumulated),
            },
            reads={"x": emit.input(), "gamma": emit.parameter("weight"), "beta": emit.parameter("bias")},
            groups=self.groups,
            eps=self.eps,
        )

    def backward(self, emit: Emitter) -> None:
        per_group = (emit.batch, self.groups)
        target = emit.input_gradient()
        gamma, beta = _scale_and_shift_gradients(emit)
        emit.call(
            "group_norm_backward",
            writes={"gx": target.buffer if target else None, "ggamma": gamma.buffer, "gbeta": beta.buffer},
            reads={
                "gy": emit.output_gradient(),
                "x": emit.input(),
                "mean": emit.saved("mean", per_group, emit.accumulated),
                "inverse_deviation": emit.saved("inverse_deviation", per_group, emit.accumulated),
                "gamma": emit.parameter("weight"),
            },
            groups=self.groups,
            accumulate=target.accumulate if target else False,
            accumulate_parameters=gamma.accumulate,
        )


class LocalResponseNorm(Layer):
    """AlexNet's normalisation over neighbouring channels; alpha multiplies the sum (Krizhevsky et al., 2012)."""

    kind = "lrn"

    def __init__(
        self, k: float = 2.0, n: int = 5, alpha: float = 1e-4, beta: float = 0.75, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.settings = LocalResponse(k, n, alpha, beta)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return require_image(inputs)

    def forward(self, emit: Emitter) -> None:
        emit.call(
            "local_response_norm_forward",
            writes={"y": emit.output, "denominator": self._denominator(emit)},
            reads={"x": emit.input()},
            settings=self.settings,
        )

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is not None:
            emit.call(
                "local_response_norm_backward",
                writes={"gx": target.buffer},
                reads={
                    "gy": emit.output_gradient(),
                    "x": emit.input(),
                    "y": emit.output,
                    "denominator": self._denominator(emit),
                },
                settings=self.settings,
                accumulate=target.accumulate,
            )

    def _denominator(self, emit: Emitter) -> object:
        return emit.saved("denominator", emit.output.shape, layout="images")
