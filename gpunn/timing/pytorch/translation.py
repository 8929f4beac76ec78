"""The same network in PyTorch, with the same weights: a chain of gpunn's layers as torch.nn modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gpunn.errors import UsageError
from gpunn.graph import Node
from gpunn.layers.activation import Elementwise, Identity
from gpunn.layers.convolution import Conv2d
from gpunn.layers.dropout import Dropout
from gpunn.layers.layer import Layer
from gpunn.layers.linear import Linear
from gpunn.layers.merge import Flatten
from gpunn.layers.normalization import BatchNorm, LocalResponseNorm
from gpunn.layers.pooling import GlobalMeanPool2d, MaxPool2d, MeanPool2d
from gpunn.network import Network
from gpunn.timing.pytorch.library import load_torch

#: Parameters by their full names, as gpunn has them.
Weights = Mapping[str, np.ndarray[Any, Any]]


def pytorch_network(network: Network, weights: Weights) -> Any:
    """The chain as a torch.nn.Sequential in channels_last order, which is PyTorch's faster one.

    Raises:
        UsageError: for a layer, or an option of one, that is not translated, and when PyTorch is not there.
    """
    modules = [module for _, module in pytorch_modules(network, weights)]
    torch = load_torch()
    return torch.nn.Sequential(*modules).to(memory_format=torch.channels_last)


def pytorch_modules(network: Network, weights: Weights) -> list[tuple[str, Any]]:
    """The modules of the chain in order, each with the label of its node; nodes that change nothing have none.

    Raises:
        UsageError: as for `pytorch_network`.
    """
    translation = _Translation(load_torch(), weights)
    _, *nodes = network.nodes
    for before, node in zip(network.nodes, nodes, strict=False):
        if node.inputs != (before,):
            raise UsageError(f"layer '{node.name}' does not continue a chain; only chains are translated to PyTorch")
    return [(network.labels[node], translation.module(node)) for node in nodes if not _passes_through(node)]


def _passes_through(node: Node) -> bool:
    return isinstance(node.layer, Identity) or (isinstance(node.layer, Flatten) and len(node.inputs[0].shape) == 1)


class _Translation:
    """Makes modules of nodes."""

    def __init__(self, torch: Any, weights: Weights) -> None:
        self._torch = torch
        self._weights = weights

    def module(self, node: Node) -> Any:
        """The module for one node."""
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
            case LocalResponseNorm():
                # PyTorch's alpha multiplies the mean of the squares, not their sum.
                settings = layer.settings
                return nn.LocalResponseNorm(settings.n, settings.alpha * settings.n, settings.beta, settings.k)
            case _:
                raise _untranslated(node)

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
        image = _flattened(node.inputs[0])
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
                # These need no output of theirs for their gradients, so it may be overwritten.
                return nn.ReLU(inplace=isinstance(node.inputs[0].layer, Conv2d | Linear | BatchNorm))
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


def _flattened(source: Node) -> tuple[int, int, int] | None:
    """Rows, columns and channels of the image that comes as a vector; None where there was none."""
    for node in _upwards(source):
        shape = node.inputs[0].shape if node.inputs else ()
        if isinstance(node.layer, Flatten) and len(shape) == 3:
            return shape[0], shape[1], shape[2]
        if not _keeps_order(node.layer):
            break
    return None


def _upwards(node: Node) -> Iterator[Node]:
    yield node
    while node.inputs:
        node = node.inputs[0]
        yield node


def _keeps_order(layer: Layer) -> bool:
    return isinstance(layer, Dropout | Elementwise | Identity | Flatten)


def _untranslated(node: Node) -> UsageError:
    return UsageError(
        f"layer '{node.name}' ({node.layer.kind}, {len(node.shape)} axes) is not translated to PyTorch; "
        "compare another network"
    )
