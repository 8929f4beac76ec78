"""Convolution layers: shared filters, and filters that differ from place to place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from gpunn.backend.attributes import LINEAR, ConvolutionAlgorithm
from gpunn.errors import ShapeError
from gpunn.geometry import Conv2dGeometry, PaddingRule, ReceptiveField, Shape, pair, resolve_padding
from gpunn.graph import Node
from gpunn.initializers import HeNormal, Initializer, Zeros
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer, Parameter, require_image


class _Windowed(Layer):
    """What both kinds of convolution share: filters, stride, padding, dilation, a bias, and the calls.

    Attributes:
        primitive: the stem of its primitives' names.
    """

    primitive: ClassVar[str]

    def __init__(
        self,
        filters: int,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: PaddingRule = "none",
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        weight: Initializer | None = None,
        bias_value: Initializer | None = None,
        channels: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.filters = filters
        self.size = pair(size)
        self.stride = pair(stride)
        self.padding = padding
        self.dilation = pair(dilation)
        self.groups = groups
        self.bias = bias
        self.weight = weight or HeNormal()
        self.bias_value = bias_value or Zeros()
        self.channels = channels

    def geometry(self, batch: int, image: Shape) -> Conv2dGeometry:
        """All sizes, for a batch of images of that shape."""
        H, W, C = image
        if self.channels is not None and self.channels != C:
            raise ShapeError(f"expects {self.channels} channels, got {C}")
        sides = resolve_padding(self.padding, pair((H, W)), self.size, self.stride, self.dilation)
        return Conv2dGeometry(batch, H, W, C, self.filters, *self.size, self.stride, sides, self.dilation, self.groups)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.geometry(1, require_image(inputs)).output_shape[1:]

    def advice(self, inputs: Sequence[Node]) -> str:
        if len(inputs) == 1 and len(inputs[0].shape) == 3 and self.channels not in (None, inputs[0].shape[2]):
            return f"use channels={inputs[0].shape[2]}, or feed it {self.channels} channels"
        return ""

    def flops(self, inputs: Sequence[Shape]) -> int:
        return self.geometry(1, inputs[0]).flops

    def receptive_field(self, field: ReceptiveField) -> ReceptiveField:
        return field.through((self.size.rows - 1) * self.dilation.rows + 1, self.stride.rows)

    def forward(self, emit: Emitter) -> None:
        geometry = self.geometry(emit.batch, emit.input().shape[1:])
        primitive = f"{self.primitive}_forward"
        emit.call(
            primitive,
            writes={"y": emit.output},
            reads={
                "x": emit.input(),
                "w": emit.factor("weight"),
                "bias": emit.parameter("bias") if self.bias else None,
                **self._scratch(emit, primitive, geometry),
            },
            geometry=geometry,
            **self._arithmetic(emit),
            **self._activation(),
        )

    def backward(self, emit: Emitter) -> None:
        geometry = self.geometry(emit.batch, emit.input().shape[1:])
        weight = emit.parameter_gradient("weight")
        if weight is not None:
            bias = emit.parameter_gradient("bias") if self.bias else None
            primitive = f"{self.primitive}_backward_filter"
            emit.call(
                primitive,
                writes={"gw": weight.buffer, "gbias": bias.buffer if bias else None},
                reads={"x": emit.input(), "gy": emit.output_gradient(), **self._scratch(emit, primitive, geometry)},
                geometry=geometry,
                accumulate=weight.accumulate,
                **self._arithmetic(emit),
            )
        image = emit.input_gradient()
        if image is not None:
            primitive = f"{self.primitive}_backward_data"
            emit.call(
                primitive,
                writes={"gx": image.buffer},
                reads={
                    "gy": emit.output_gradient(),
                    "w": emit.factor("weight"),
                    **self._saved(),
                    **self._scratch(emit, primitive, geometry),
                },
                geometry=geometry,
                accumulate=image.accumulate,
                **self._arithmetic(emit),
                **self._activation(),
            )

    def _activation(self) -> dict[str, Any]:
        """The function that the primitives can apply besides, as a setting."""
        return {}

    def _saved(self) -> dict[str, Any]:
        """What that function's derivative is computed from, by its argument name."""
        return {}

    def _arithmetic(self, emit: Emitter) -> dict[str, Any]:
        """How products are computed, as a setting."""
        return {}

    def _scratch(self, emit: Emitter, primitive: str, geometry: Conv2dGeometry) -> dict[str, Any]:
        """The scratch memory of one primitive, by its argument name."""
        return {}


class Conv2d(_Windowed):
    """Cross-correlation of an image with `filters` filters of R x S x C/groups.

    Args:
        filters: how many, K.
        size: R and S.
        stride: steps between outputs.
        padding: "none", "same" (ceil(size / stride) outputs), "full", a number, or (top, bottom, left, right).
        dilation: steps between the taps of a filter.
        groups: the channels fall into this many groups, each with its own K/groups filters.
        bias: add a number per filter.
        weight: initialiser of the filters, He's normal by default.
        bias_value: initialiser of the biases, zeros by default.
        channels: when given, the number of input channels that the layer insists on.
        algorithm: "direct", "winograd" where it serves the shape, or "auto" for what the device was opened with; CUDA
            has the direct one only.
    """

    kind = "conv"
    widens = True
    primitive = "convolution2d"

    def __init__(
        self,
        filters: int,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: PaddingRule = "none",
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        weight: Initializer | None = None,
        bias_value: Initializer | None = None,
        channels: int | None = None,
        name: str | None = None,
        algorithm: ConvolutionAlgorithm = "auto",
    ) -> None:
        super().__init__(filters, size, stride, padding, dilation, groups, bias, weight, bias_value, channels, name)
        self.algorithm = algorithm

    def parameters(self, inputs: Sequence[Shape]) -> Sequence[Parameter]:
        geometry = self.geometry(1, inputs[0])
        R, S, depth, K = geometry.filter_shape
        fan_in = R * S * depth
        weight = Parameter("weight", geometry.filter_shape, self.weight, fan_in)
        return (weight, Parameter("bias", (K,), self.bias_value, fan_in, decays=False)) if self.bias else (weight,)

    def _scratch(self, emit: Emitter, primitive: str, geometry: Conv2dGeometry) -> dict[str, Any]:
        return {"workspace": emit.workspace(primitive, geometry, **self._arithmetic(emit))}

    def _activation(self) -> dict[str, Any]:
        return {"activation": LINEAR}

    def _saved(self) -> dict[str, Any]:
        return {"saved": None}

    def _arithmetic(self, emit: Emitter) -> dict[str, Any]:
        return {"arithmetic": replace(emit.arithmetic, algorithm=self.algorithm)}


class LocallyConnected2d(_Windowed):
    """A convolution whose filters are not shared: every output place has its own (LeCun, 1989). One group."""

    kind = "local"
    primitive = "locally_connected2d"

    def geometry(self, batch: int, image: Shape) -> Conv2dGeometry:
        """All sizes; groups are refused."""
        if self.groups != 1:
            raise ShapeError(f"has {self.groups} groups; a locally connected layer takes 1")
        return super().geometry(batch, image)

    def parameters(self, inputs: Sequence[Shape]) -> Sequence[Parameter]:
        geometry = self.geometry(1, inputs[0])
        R, S, C, K = geometry.filter_shape
        fan_in = R * S * C
        weight = Parameter("weight", (geometry.P, geometry.Q, R, S, C, K), self.weight, fan_in)
        bias = Parameter("bias", (geometry.P, geometry.Q, K), self.bias_value, fan_in, decays=False)
        return (weight, bias) if self.bias else (weight,)
