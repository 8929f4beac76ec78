"""Dropout: while training, elements become 0 at random (Srivastava et al., 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gpunn.backend import attributes
from gpunn.geometry import Shape
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer, require_one


class Dropout(Layer):
    """Drops each element with probability p.

    Args:
        p: the probability to drop.
        mode: "inverted" divides what is kept by 1 - p while training; "classic" multiplies by 1 - p at test time.
    """

    kind = "dropout"
    transparent = True

    def __init__(self, p: float = 0.5, mode: attributes.DropoutMode = "inverted", name: str | None = None) -> None:
        super().__init__(name)
        self.settings = attributes.Dropout(p, mode, seed=0, layer=0)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return require_one(inputs)

    def forward(self, emit: Emitter) -> None:
        if emit.training and self.settings.p > 0:
            emit.call(
                "dropout_forward",
                writes={"y": emit.output, "mask": self._mask(emit)},
                reads={"x": emit.input(), "step": emit.control("step"), "first_image": emit.control("first_image")},
                settings=self._settings(emit),
            )
        elif self.settings.mode == "classic" and self.settings.p > 0:
            emit.call(
                "scale",
                writes={"y": emit.output},
                reads={"x": emit.input()},
                factor=1 - self.settings.p,
                accumulate=False,
            )
        else:
            emit.pass_through()

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is None:
            return
        if emit.training:
            emit.call(
                "dropout_backward",
                writes={"gx": target.buffer},
                reads={"gy": emit.output_gradient(), "mask": self._mask(emit)},
                settings=self._settings(emit),
                accumulate=target.accumulate,
            )
        else:
            emit.call(
                "scale",
                writes={"y": target.buffer},
                reads={"x": emit.output_gradient()},
                factor=1 - self.settings.p,
                accumulate=target.accumulate,
            )

    def _settings(self, emit: Emitter) -> attributes.Dropout:
        return replace(self.settings, seed=emit.seed, layer=emit.index)

    def _mask(self, emit: Emitter) -> object:
        return emit.saved("mask", emit.output.shape, np.dtype(np.uint8), "images")
