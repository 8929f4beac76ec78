"""Which layers of a network can be looked at, and by what name."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.errors import UsageError
from gpunn.graph import Node, describe_shape
from gpunn.layers import BatchNorm, Conv2d, Dropout, Flatten, GroupNorm, Identity, Linear, LocallyConnected2d, PReLU
from gpunn.layers.activation import Elementwise
from gpunn.network import Network

#: What finishes the work of the layer before it, and is shown together with it.
_FINISHING = (BatchNorm, GroupNorm, Elementwise, PReLU)
#: What hands on the numbers of the layer before it when a network is evaluated.
_HANDING_ON = (Dropout, Flatten, Identity)
#: What has feature maps that the paper of Grad-CAM would take.
_CONVOLUTIONS = (Conv2d, LocallyConnected2d)


@dataclass(frozen=True)
class Stage:
    """A layer with the normalisation and the activation that follow it: one step of a network for a person.

    Attributes:
        nodes: in the order in which they are computed.
        label: their names.
    """

    nodes: tuple[Node, ...]
    label: str

    @property
    def shown(self) -> Node:
        """The last node, whose output the rest of the network sees."""
        return self.nodes[-1]


def stages(network: Network) -> tuple[Stage, ...]:
    """Every stage of a network after the image, in order; what only hands numbers on is left out."""
    found: list[Stage] = []
    seen: set[Node] = {network.image}
    for node in network.nodes:
        if node not in seen and not isinstance(node.layer, _HANDING_ON):
            found.append(_stage(network, node))
            seen.update(found[-1].nodes)
    return tuple(found)


def _stage(network: Network, first: Node) -> Stage:
    nodes = [first]
    while True:
        readers = [node for node in network.nodes if nodes[-1] in node.inputs]
        if len(readers) != 1 or not isinstance(readers[0].layer, _FINISHING) or nodes[-1] in network.outputs:
            return Stage(tuple(nodes), ", ".join(network.labels[node] for node in nodes))
        nodes.append(readers[0])


def named_node(network: Network, name: str) -> Node:
    """The node with that label.

    Raises:
        UsageError: when there is none; the text lists all.
    """
    for node, label in network.labels.items():
        if label == name:
            return node
    raise UsageError(f"{network.name} has no layer {name!r}; it has {', '.join(network.labels.values())}")


def feature_maps(network: Network, name: str | None = None) -> Node:
    """The node whose feature maps Grad-CAM weighs.

    Args:
        network: the network.
        name: of the node; None takes the last convolution, with the normalisation and activation that follow it.

    Raises:
        UsageError: when there is no convolution, no such layer, or it has no rows and columns.
    """
    maps = [node for node in network.nodes if len(node.shape) == 3 and node is not network.image]
    if not maps:
        raise UsageError(
            f"{network.name} has no convolution, and Grad-CAM weighs the feature maps of one; "
            "what works here: --filters, --activations IMAGE, --errors"
        )
    if name is None:
        last = [node for node in maps if isinstance(node.layer, _CONVOLUTIONS)] or maps
        return _stage(network, last[-1]).shown
    node = named_node(network, name)
    if node not in maps:
        with_maps = ", ".join(network.labels[other] for other in maps)
        raise UsageError(
            f"layer {name!r} gives {describe_shape(node.shape)} and no feature maps for Grad-CAM; "
            f"take one of {with_maps}"
        )
    return node


def filters_of(network: Network, name: str | None = None) -> Node:
    """The node whose weights are drawn.

    Args:
        network: the network.
        name: of the node; None takes the first convolution or linear layer.

    Raises:
        UsageError: when there is no such layer, or its weights make no pictures.
    """
    drawable = [node for node in network.nodes if _has_pictures(network, node)]
    if not drawable:
        raise UsageError(f"{network.name} has neither a convolution nor a linear layer that sees the image")
    if name is None:
        return drawable[0]
    node = named_node(network, name)
    if node not in drawable:
        choice = ", ".join(network.labels[other] for other in drawable)
        raise UsageError(f"layer {name!r} has no weights that make pictures; take one of {choice}")
    return node


def _has_pictures(network: Network, node: Node) -> bool:
    return isinstance(node.layer, Conv2d) or (isinstance(node.layer, Linear) and sees_image(network, node))


def sees_image(network: Network, node: Node) -> bool:
    """Whether a layer reads the image, at most flattened."""
    source = node.inputs[0]
    while isinstance(source.layer, _HANDING_ON):
        source = source.inputs[0]
    return source is network.image
