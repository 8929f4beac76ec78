"""A graph with names: order, shapes, parameters, and the table that describes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from gpunn.errors import ShapeError, UsageError
from gpunn.geometry import ReceptiveField, Shape
from gpunn.graph import Node, describe_shape, topological_order
from gpunn.layers.input import image_input
from gpunn.layers.layer import Layer, Parameter, Statistic

#: Programs and checkpoints build names of their own with these: "fc1@2", "bn1:mean", "grad fc1",
#: "optimizer/momentum/fc1.weight".
RESERVED_CHARACTERS = "@:"
RESERVED_BEGINNINGS = ("grad ", "optimizer/")


@dataclass(frozen=True)
class LayerSummary:
    """One line of a summary; `receptive_field` is None where there are no rows and columns any more."""

    name: str
    type: str
    output: Shape
    parameters: int
    flops: int
    receptive_field: int | None


class Network:
    """Everything that lies between an image and some outputs.

    Args:
        outputs: the node, or nodes, that the network computes; the first is the one that predicts.
        name: what summaries and checkpoints call it.

    Raises:
        UsageError: when two layers share a name, a name is one that programs build themselves, or there is not
            exactly one input.
        ShapeError: when a shared layer is used on inputs of different sizes.
    """

    def __init__(self, outputs: Node | Sequence[Node], name: str = "network") -> None:
        self.outputs = (outputs,) if isinstance(outputs, Node) else tuple(outputs)
        self.name = name
        self.nodes = topological_order(self.outputs)
        sources = [node for node in self.nodes if not node.inputs]
        if len(sources) != 1:
            raise UsageError(f"network '{name}' has {len(sources)} inputs; it needs exactly one image")
        self.image = sources[0]
        self.layers: tuple[Layer, ...] = tuple(dict.fromkeys(node.layer for node in self.nodes))
        counts = Counter(layer.name for layer in self.layers)
        twice = [str(layer) for layer, count in counts.items() if count > 1]
        if twice:
            raise UsageError(f"network '{name}' has two layers named {', '.join(map(repr, twice))}; rename one")
        self._require_names_that_are_free()
        self._require_equal_uses()
        self.labels = self._label_nodes()

    def _require_names_that_are_free(self) -> None:
        """A layer named "fc1@2" would share its buffers with the second use of "fc1"."""
        for layer in self.layers:
            name = layer.name or ""
            if not name or set(name) & set(RESERVED_CHARACTERS) or name.startswith(RESERVED_BEGINNINGS):
                raise UsageError(
                    f"network '{self.name}' has a layer named {name!r}; a name is not empty, has none of "
                    f"{' '.join(RESERVED_CHARACTERS)} and does not begin with "
                    f"{' or '.join(map(repr, RESERVED_BEGINNINGS))}: rename it"
                )

    def _require_equal_uses(self) -> None:
        """A layer that is used twice has one set of parameters, which must fit both places."""
        for node in self.nodes:
            first = self.first_use(node.layer)
            for wanted, held in zip(
                node.layer.parameters(node.input_shapes), first.layer.parameters(first.input_shapes), strict=True
            ):
                if wanted.shape != held.shape:
                    raise ShapeError(
                        f"{node.layer.kind} '{node.name}' is used on {describe_shape(first.input_shapes[0])} and again "
                        f"on {describe_shape(node.input_shapes[0])}, for which its {held.name} of "
                        f"{describe_shape(held.shape)} does not fit; use a second layer there"
                    )

    def _label_nodes(self) -> dict[Node, str]:
        """A unique name per node: a layer that is used again gets "fc1@2"."""
        uses: Counter[str] = Counter()
        labels: dict[Node, str] = {}
        for node in self.nodes:
            uses[node.name] += 1
            labels[node] = node.name if uses[node.name] == 1 else f"{node.name}@{uses[node.name]}"
        return labels

    def first_use(self, layer: Layer) -> Node:
        """The first node of a layer; its input shapes give the parameters their sizes."""
        return next(node for node in self.nodes if node.layer is layer)

    def parameters(self) -> Iterator[tuple[str, Parameter, Layer]]:
        """Every parameter with its full name, such as "conv1.weight", in the order of the graph."""
        for layer in self.layers:
            for parameter in layer.parameters(self.first_use(layer).input_shapes):
                yield f"{layer.name}.{parameter.name}", parameter, layer

    def statistics(self) -> Iterator[tuple[str, Statistic]]:
        """Every running statistic with its full name, such as "bn1.running_mean"."""
        for layer in self.layers:
            for statistic in layer.statistics(self.first_use(layer).input_shapes):
                yield f"{layer.name}.{statistic.name}", statistic

    @property
    def parameter_count(self) -> int:
        """All trained numbers."""
        return sum(prod(parameter.shape) for _, parameter, _ in self.parameters())

    @property
    def flops(self) -> int:
        """Of one image's forward pass, two per multiply-add."""
        return sum(node.layer.flops(node.input_shapes) for node in self.nodes)

    def summary(self) -> tuple[LayerSummary, ...]:
        """A line per node after the input."""
        fields: dict[Node, ReceptiveField] = {self.image: ReceptiveField()}
        rows: list[LayerSummary] = []
        counted: set[Layer] = set()
        for node in self.nodes:
            if node is self.image:
                continue
            widest = max((fields[source] for source in node.inputs), key=lambda field: field.size)
            fields[node] = node.layer.receptive_field(widest)
            own = () if node.layer in counted else node.layer.parameters(node.input_shapes)
            counted.add(node.layer)
            rows.append(
                LayerSummary(
                    self.labels[node],
                    node.layer.kind,
                    node.shape,
                    sum(prod(parameter.shape) for parameter in own),
                    node.layer.flops(node.input_shapes),
                    fields[node].size if len(node.shape) == 3 else None,
                )
            )
        return tuple(rows)


class Sequential:
    """A chain of layers, to be used like one layer."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def __call__(self, node: Node) -> Node:
        """The node after the last layer."""
        for layer in self.layers:
            node = layer(node)
        return node

    def network(self, image: Shape, name: str = "network") -> Network:
        """The chain as a network for images of shape (H, W, C)."""
        return Network(self(image_input(image)), name)
