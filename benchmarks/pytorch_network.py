"""The same network in PyTorch, with the same weights: a chain of gpunn's layers as torch.nn modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gpunn.graph import Node
from gpunn.layers.activation import Elementwise
from gpunn.layers.convolution import Conv2d
from gpunn.layers.dropout import Dropout
from gpunn.layers.linear import Linear
from gpunn.layers.merge import Flatten
from gpunn.layers.normalization import BatchNorm, LocalResponseNorm
from gpunn.layers.pooling import MaxPool2d
from gpunn.network import Network

Weights = dict[str, np.ndarray[Any, Any]]


def pytorch_network(network: Network, weights: Weights) -> torch.nn.Sequential:
    """The chain as a Sequential in channels_last order.

    Raises:
        TypeError: for a layer, or an option of one, that this comparison does not translate.
    """
    modules = [_module(node, weights) for node in network.nodes if node.inputs]
    return torch.nn.Sequential(*modules).to(memory_format=torch.channels_last)


def _module(node: Node, weights: Weights) -> torch.nn.Module:
    layer = node.layer
    match layer:
        case Conv2d():
            return _convolution(node, layer, weights)
        case Linear():
            return _linear(node, layer, weights)
        case BatchNorm():
            return torch.nn.BatchNorm2d(node.shape[-1], layer.settings.eps, layer.settings.momentum)
        case Elementwise() if layer.function.name == "relu":
            return torch.nn.ReLU(inplace=True)
        case MaxPool2d():
            sides = layer.geometry(1, node.inputs[0].shape).padding
            return torch.nn.MaxPool2d(tuple(layer.size), tuple(layer.stride), sides.top, ceil_mode=layer.ceil_mode)
        case Dropout():
            return torch.nn.Dropout(layer.settings.p)
        case Flatten():
            return torch.nn.Flatten()
        case LocalResponseNorm():
            settings = layer.settings
            return torch.nn.LocalResponseNorm(settings.n, settings.alpha * settings.n, settings.beta, settings.k)
        case _:
            raise TypeError(f"layer '{node.name}' ({layer.kind}) has no translation in this benchmark")


def _convolution(node: Node, layer: Conv2d, weights: Weights) -> torch.nn.Module:
    geometry = layer.geometry(1, node.inputs[0].shape)
    sides = geometry.padding
    if sides.top != sides.bottom or sides.left != sides.right:
        raise TypeError(f"layer '{node.name}' has uneven padding {tuple(sides)}")
    module = torch.nn.Conv2d(
        geometry.C,
        geometry.K,
        (geometry.R, geometry.S),
        tuple(geometry.stride),
        (sides.top, sides.left),
        tuple(geometry.dilation),
        geometry.groups,
        bias=layer.bias,
    )
    _set(module.weight, weights[f"{node.name}.weight"].transpose(3, 2, 0, 1))
    if layer.bias:
        _set(module.bias, weights[f"{node.name}.bias"])
    return module


def _linear(node: Node, layer: Linear, weights: Weights) -> torch.nn.Module:
    values = weights[f"{node.name}.weight"]
    source = node.inputs[0]
    while isinstance(source.layer, Dropout):
        source = source.inputs[0]
    if isinstance(source.layer, Flatten) and len(source.inputs[0].shape) == 3:
        # PyTorch flattens in the order c, h, w.
        rows, columns, channels = source.inputs[0].shape
        values = values.reshape(rows, columns, channels, -1).transpose(2, 0, 1, 3).reshape(values.shape)
    module = torch.nn.Linear(values.shape[0], layer.outputs, bias=layer.bias)
    _set(module.weight, values.T)
    if layer.bias:
        _set(module.bias, weights[f"{node.name}.bias"])
    return module


def _set(parameter: torch.nn.Parameter | None, values: np.ndarray[Any, Any]) -> None:
    if parameter is not None:
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
