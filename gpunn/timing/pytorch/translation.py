"""The same network in PyTorch, with the same weights: gpunn's layers as torch.nn modules, and what each reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gpunn.errors import UsageError
from gpunn.graph import Node
from gpunn.layers.activation import Elementwise, Identity
from gpunn.layers.convolution import Conv2d
from gpunn.layers.dropout import Dropout
from gpunn.layers.layer import Layer
from gpunn.layers.linear import Linear
from gpunn.layers.merge import Add, Concatenate, Flatten
from gpunn.layers.normalization import BatchNorm, LocalResponseNorm
from gpunn.layers.pooling import GlobalMeanPool2d, MaxPool2d, MeanPool2d
from gpunn.network import Network
from gpunn.timing.pytorch.flattening import flattened_image
from gpunn.timing.pytorch.library import load_torch
from gpunn.timing.pytorch.merging import add_module, concatenate_module

#: Parameters by their full names, as gpunn has them.
Weights = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Part:
    """A layer in PyTorch.

    Attributes:
        label: of the layer's node.
        module: computes it.
        inputs: labels of the nodes it reads, parts or the image.
    """

    label: str
    module: Any
    inputs: tuple[str, ...]


def pytorch_network(network: Network, weights: Weights) -> Any:
    """The network as a torch.nn.Module in channels_last order, which is PyTorch's faster one.

    Raises:
        UsageError: for a layer, or an option of one, that is not translated, for several outputs, and when PyTorch is
            not there.
    """
    parts = pytorch_parts(network, weights)
    return assemble(parts).to(memory_format=load_torch().channels_last)


def pytorch_parts(network: Network, weights: Weights) -> list[Part]:
    """The layers in order, the last one the output; nodes that change nothing have none.

    Raises:
        UsageError: as for `pytorch_network`.
    """
    translation = _Translation(load_torch(), weights, network)
    if len(network.outputs) > 1:
        raise UsageError(f"network '{network.name}' has several outputs; networks with one are translated to PyTorch")
    return [
        Part(
            network.labels[node],
            translation.module(node),
            tuple(network.labels[source_of(source)] for source in translation.in_order(node)),
        )
        for node in network.nodes
        if node.inputs and not _passes_through(node)
    ]


def assemble(parts: list[Part]) -> Any:
    """A module that runs the parts one after another and lets go of a value after its last reader.

    Of a chain, what people write; else torch.fx writes its Python code, which takes a microsecond more for each part.
    """
    torch = load_torch()
    if all(part.inputs == (before.label,) for before, part in pairwise(parts)) and len(parts[0].inputs) == 1:
        return torch.nn.Sequential(*(part.module for part in parts))
    fx = torch.fx
    graph = fx.Graph()
    values: dict[str, Any] = {}
    image = graph.placeholder("images")
    for place, part in enumerate(parts):
        values[part.label] = graph.call_module(str(place), tuple(values.get(label, image) for label in part.inputs))
    graph.output(values[parts[-1].label])
    return fx.GraphModule({str(place): part.module for place, part in enumerate(parts)}, graph)


def source_of(node: Node) -> Node:
    """The node itself, or the one whose output it passes on."""
    while _passes_through(node):
        (node,) = node.inputs
    return node


def _passes_through(node: Node) -> bool:
    return isinstance(node.layer, Identity) or (isinstance(node.layer, Flatten) and len(node.inputs[0].shape) == 1)


class _Translation:
    """Makes modules of nodes."""

    def __init__(self, torch: Any, weights: Weights, network: Network) -> None:
        self._torch = torch
        self._weights = weights
        read = [source_of(source) for node in network.nodes if not _passes_through(node) for source in node.inputs]
        self._readers = Counter([*read, *map(source_of, network.outputs)])
        self._learning: dict[Layer, Any] = {}

    def in_order(self, node: Node) -> tuple[Node, ...]:
        """The inputs; of a sum, one that may be overwritten first."""
        if not isinstance(node.layer, Add):
            return node.inputs
        return tuple(sorted(node.inputs, key=lambda source: not self._may_be_overwritten(source)))

    def module(self, node: Node) -> Any:
        """The module for one node; a layer with weights has one module wherever it is used."""
        if not node.layer.parameters(node.input_shapes):
            return self._new_module(node)
        if node.layer not in self._learning:
            self._learning[node.layer] = self._new_module(node)
        return self._learning[node.layer]

    def _new_module(self, node: Node) -> Any:
        nn, layer = self._torch.nn, node.layer
        match layer:
            case Conv2d():
                return self._convolution(node, layer)
            case Linear():
                return self._linear(node, layer)
            case BatchNorm():
                return self._batch_norm(node, layer)
            case Elementwise():
                return self._activation(node, layer)
            case MaxPool2d():
                padding = _even_padding(node, layer)
                return nn.MaxPool2d(tuple(layer.size), tuple(layer.stride), padding, ceil_mode=layer.ceil_mode)
            case MeanPool2d():
                padding = _even_padding(node, layer)
                return nn.AvgPool2d(tuple(layer.size), tuple(layer.stride), padding, layer.ceil_mode, False)
            case GlobalMeanPool2d():
                return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            case Dropout() if layer.settings.mode == "inverted":
                return nn.Dropout(layer.settings.p)
            case Flatten():
                return nn.Flatten()
            case Add():
                return add_module(self._torch, overwrites=any(map(self._may_be_overwritten, node.inputs)))
            case Concatenate():
                return concatenate_module(self._torch)
            case LocalResponseNorm():
                # PyTorch's alpha multiplies the mean of the squares, not their sum.
                settings = layer.settings
                return nn.LocalResponseNorm(settings.n, settings.alpha * settings.n, settings.beta, settings.k)
            case _:
                raise _untranslated(node)

    def _may_be_overwritten(self, node: Node) -> bool:
        """Whether there is one reader only, and the layer needs no output of its own for its gradients."""
        source = source_of(node)
        return self._readers[source] == 1 and isinstance(source.layer, Conv2d | Linear | BatchNorm | Add)

    def _convolution(self, node: Node, layer: Conv2d) -> Any:
        g = layer.geometry(1, node.inputs[0].shape)
        sides = g.padding
        even = sides.top == sides.bottom and sides.left == sides.right
        padding = (sides.top, sides.left) if even else 0
        size, stride, dilation = (g.R, g.S), tuple(g.stride), tuple(g.dilation)
        nn = self._torch.nn
        module = nn.Conv2d(g.C, g.K, size, stride, padding, dilation, g.groups, bias=layer.bias)
        self._fill(module.weight, self._weights[f"{node.name}.weight"].transpose(3, 2, 0, 1))
        self._fill_bias(module, node, layer.bias)
        if even:
            return module
        return nn.Sequential(nn.ZeroPad2d((sides.left, sides.right, sides.top, sides.bottom)), module)

    def _linear(self, node: Node, layer: Linear) -> Any:
        values = self._weights[f"{node.name}.weight"]
        image = flattened_image(node.inputs[0])
        if image is not None:
            # PyTorch flattens in the order c, h, w.
            values = values.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(values.shape)
        module = self._torch.nn.Linear(values.shape[0], layer.outputs, bias=layer.bias)
        self._fill(module.weight, values.T)
        self._fill_bias(module, node, layer.bias)
        return module

    def _batch_norm(self, node: Node, layer: BatchNorm) -> Any:
        if len(node.shape) != 3:
            raise _untranslated(node)
        module = self._torch.nn.BatchNorm2d(node.shape[-1], layer.settings.eps, layer.settings.momentum)
        self._fill(module.weight, self._weights[f"{node.name}.weight"])
        self._fill_bias(module, node, True)
        return module

    def _activation(self, node: Node, layer: Elementwise) -> Any:
        nn, a = self._torch.nn, layer.function.a
        match layer.function.name:
            case "relu":
                return nn.ReLU(inplace=self._may_be_overwritten(node.inputs[0]))
            case "leaky_relu":
                return nn.LeakyReLU(a)
            case "elu":
                return nn.ELU(a)
            case "sigmoid":
                return nn.Sigmoid()
            case "tanh":
                return nn.Tanh()
            case "softplus":
                return nn.Softplus()
            case "swish":
                return nn.SiLU()
            case _:
                raise _untranslated(node)

    def _fill_bias(self, module: Any, node: Node, there: bool) -> None:
        if there:
            self._fill(module.bias, self._weights[f"{node.name}.bias"])

    def _fill(self, parameter: Any, values: np.ndarray[Any, Any]) -> None:
        with self._torch.no_grad():
            parameter.copy_(self._torch.from_numpy(np.ascontiguousarray(values)))


def _even_padding(node: Node, layer: MaxPool2d | MeanPool2d) -> tuple[int, int]:
    sides = layer.geometry(1, node.inputs[0].shape).padding
    if sides.top != sides.bottom or sides.left != sides.right:
        raise UsageError(f"layer '{node.name}' has uneven padding {tuple(sides)}, which PyTorch's pooling has not")
    return sides.top, sides.left


def _untranslated(node: Node) -> UsageError:
    return UsageError(
        f"layer '{node.name}' ({node.layer.kind}, {len(node.shape)} axes) is not translated to PyTorch; "
        "compare another network"
    )
