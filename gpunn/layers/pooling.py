"""Pooling over windows, and over the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from gpunn.geometry import PaddingRule, Pair, Pool2dGeometry, ReceptiveField, Shape, pair, resolve_padding
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer, require_image

#: The largest window whose places an 8-bit arg-max can name.
_LARGEST_BYTE_WINDOW = 256


class _Pool2d(Layer):
    """Windows of `size`, `stride` apart (the size itself by default).

    Args:
        size: R and S.
        stride: steps between windows; None steps by the size.
        padding: as for Conv2d.
        ceil_mode: round the number of windows up instead of down.

    Attributes:
        primitive: the stem of its primitives' names.
    """

    kind = "pool"
    primitive: ClassVar[str]

    def __init__(
        self,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: PaddingRule = "none",
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.size = pair(size)
        self.stride = self.size if stride is None else pair(stride)
        self.padding = padding
        self.ceil_mode = ceil_mode

    def geometry(self, batch: int, image: Shape) -> Pool2dGeometry:
        """All sizes, for a batch of images of that shape."""
        H, W, C = image
        sides = resolve_padding(self.padding, Pair(H, W), self.size, self.stride, Pair(1, 1))
        return Pool2dGeometry(batch, H, W, C, *self.size, self.stride, sides, self.ceil_mode)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.geometry(1, require_image(inputs)).output_shape[1:]

    def receptive_field(self, field: ReceptiveField) -> ReceptiveField:
        return field.through(self.size.rows, self.stride.rows)

    def forward(self, emit: Emitter) -> None:
        geometry = self.geometry(emit.batch, emit.input().shape[1:])
        primitive = f"{self.primitive}_forward"
        emit.call(
            primitive,
            writes={"y": emit.output, **self._forward_writes(emit)},
            reads={"x": emit.input(), **self._scratch(emit, primitive, geometry)},
            geometry=geometry,
        )

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is None:
            return
        geometry = self.geometry(emit.batch, emit.input().shape[1:])
        primitive = f"{self.primitive}_backward"
        emit.call(
            primitive,
            writes={"gx": target.buffer},
            reads={
                "gy": emit.output_gradient(),
                **self._backward_reads(emit),
                **self._scratch(emit, primitive, geometry),
            },
            geometry=geometry,
            accumulate=target.accumulate,
        )

    def _forward_writes(self, emit: Emitter) -> dict[str, Any]:
        """What the forward primitive leaves for the backward one."""
        return {}

    def _backward_reads(self, emit: Emitter) -> dict[str, Any]:
        """What the backward primitive needs besides the gradient."""
        return {}

    def _scratch(self, emit: Emitter, primitive: str, geometry: Pool2dGeometry) -> dict[str, Any]:
        """The scratch memory of one primitive, by its argument name."""
        return {}


class MaxPool2d(_Pool2d):
    """The largest value of each window; the gradient goes to the first place that holds it."""

    primitive = "maximum_pool2d"

    def _forward_writes(self, emit: Emitter) -> dict[str, Any]:
        return {"argmax": self._places(emit) if emit.differentiated else None}

    def _backward_reads(self, emit: Emitter) -> dict[str, Any]:
        return {"argmax": self._places(emit)}

    def _places(self, emit: Emitter) -> Any:
        small = self.size.rows * self.size.columns <= _LARGEST_BYTE_WINDOW
        return emit.saved("argmax", emit.output.shape, np.dtype(np.uint8 if small else np.int32), "images")


class MeanPool2d(_Pool2d):
    """The mean of each window; padding is not counted."""

    primitive = "mean_pool2d"


class MedianPool2d(_Pool2d):
    """The median of each window; of an even number, the mean of the two middle values."""

    primitive = "median_pool2d"

    def _backward_reads(self, emit: Emitter) -> dict[str, Any]:
        return {"x": emit.input()}

    def _scratch(self, emit: Emitter, primitive: str, geometry: Pool2dGeometry) -> dict[str, Any]:
        return {"workspace": emit.workspace(primitive, geometry)}


class GlobalMeanPool2d(Layer):
    """The mean of each channel over the whole image: an image in, a vector out (Lin, Chen and Yan, 2014)."""

    kind = "pool"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return require_image(inputs)[2:]

    def forward(self, emit: Emitter) -> None:
        emit.call("global_mean_pool2d_forward", writes={"y": emit.output}, reads={"x": emit.input()})

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is not None:
            emit.call(
                "global_mean_pool2d_backward",
                writes={"gx": target.buffer},
                reads={"gy": emit.output_gradient()},
                accumulate=target.accumulate,
            )
