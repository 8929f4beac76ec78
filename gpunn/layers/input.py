"""The place where images enter a network."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.errors import UsageError
from gpunn.geometry import Shape, is_whole
from gpunn.graph import Names, Node
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import Layer


class Input(Layer):
    """Images of a fixed shape: (H, W, C), or (features,) for vectors.

    Raises:
        UsageError: for any other shape.
    """

    kind = "input"

    def __init__(self, shape: Shape, name: str | None = None) -> None:
        super().__init__(name)
        if len(shape) not in (1, 3) or not all(is_whole(extent) and extent >= 1 for extent in shape):
            raise UsageError(
                f"images of shape {tuple(shape)}; give (rows, columns, channels) or (features,), whole numbers of "
                "1 or more"
            )
        self.shape = tuple(int(extent) for extent in shape)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.shape

    def forward(self, emit: Emitter) -> None:
        """The program fills the output itself."""

    def backward(self, emit: Emitter) -> None:
        """Nothing lies before an input."""


def image_input(shape: Shape, name: str = "image") -> Node:
    """The first node of a graph: images of that shape (H, W, C)."""
    layer = Input(shape, name)
    return Node(layer, (), layer.shape, name, Names())
