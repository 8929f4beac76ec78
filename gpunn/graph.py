"""A network as a static graph: a layer called on nodes returns a node. Shapes here are of one image, without N."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpunn.errors import UsageError
from gpunn.geometry import Shape

if TYPE_CHECKING:
    from gpunn.layers.layer import Layer


@dataclass
class Names:
    """Hands out "conv1", "conv2", "relu1" ... within one graph."""

    used: Counter[str] = field(default_factory=Counter)

    def next(self, kind: str) -> str:
        """The next name for a layer of that kind."""
        self.used[kind] += 1
        return f"{kind}{self.used[kind]}"


@dataclass(eq=False)
class Node:
    """One use of a layer: what went in, what comes out.

    A layer called twice makes two nodes that share its parameters.
    """

    layer: Layer = field(repr=False)
    inputs: tuple[Node, ...] = field(repr=False)
    shape: Shape
    name: str
    names: Names = field(repr=False)

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shapes that go in."""
        return tuple(node.shape for node in self.inputs)


def describe_shape(shape: Shape) -> str:
    """ "5x5x256", or "6400" for a vector."""
    return "x".join(str(extent) for extent in shape)


def origin(node: Node) -> Node:
    """The node whose numbers arrive here unchanged: what a person would look at when a shape is wrong."""
    while node.layer.transparent and len(node.inputs) == 1:
        node = node.inputs[0]
    return node


def topological_order(outputs: Iterable[Node]) -> tuple[Node, ...]:
    """Every node that the outputs need, each after its inputs."""
    order: dict[Node, None] = {}
    pending: list[tuple[Node, bool]] = [(node, False) for node in reversed(list(outputs))]
    while pending:
        node, ready = pending.pop()
        if node in order:
            continue
        if ready:
            order[node] = None
        else:
            pending.append((node, True))
            pending.extend((source, False) for source in reversed(node.inputs))
    return tuple(order)


def reshape_graph(outputs: Sequence[Node], image: Shape) -> dict[Node, Shape]:
    """The shape of every node if the image had another shape.

    Raises:
        UsageError: when some layer does not fit it.
    """
    shapes: dict[Node, Shape] = {}
    for node in topological_order(outputs):
        shapes[node] = image if not node.inputs else node.layer.output_shape([shapes[i] for i in node.inputs])
    return shapes


def image_size_that_fits(node: Node, features: int, limit: int = 512) -> int | None:
    """The square image size nearest to today's for which `node` has that many features, if there is one."""
    image = next(other for other in topological_order([node]) if not other.inputs).shape
    if len(image) != 3:
        return None
    for size in sorted(range(1, limit + 1), key=lambda size: abs(size - image[0])):
        try:
            shape = reshape_graph([node], (size, size, image[2]))[node]
        except UsageError:
            continue
        count = 1
        for extent in shape:
            count *= extent
        if count == features:
            return size
    return None
