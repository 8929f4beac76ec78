"""The place where images enter a network."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.geometry import Shape
from gpunn.graph import Names, Node
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer


class Input(Layer):
    """Images of a fixed shape: (H, W, C), or (features,) for vectors."""

    kind = "input"

    def __init__(self, shape: Shape, name: str | None = None) -> None:
        super().__init__(name)
        self.shape = shape

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.shape

    def forward(self, emit: Emitter) -> None:
        """The program fills the output itself."""

    def backward(self, emit: Emitter) -> None:
        """Nothing lies before an input."""


def image_input(shape: Shape, name: str = "image") -> Node:
    """The first node of a graph: images of that shape (H, W, C)."""
    return Node(Input(shape, name), (), shape, name, Names())
