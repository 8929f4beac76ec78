"""What a network is made of."""

from __future__ import annotations

from gpunn.layers.activation import (
    ELU,
    GeneralizedReLU,
    Identity,
    LeakyReLU,
    PReLU,
    ReLU,
    Sigmoid,
    Softplus,
    Step,
    Swish,
    Tanh,
)
from gpunn.layers.convolution import Conv2d, LocallyConnected2d
from gpunn.layers.dropout import Dropout
from gpunn.layers.input import image_input
from gpunn.layers.layer import Layer, Parameter, Statistic
from gpunn.layers.linear import Linear
from gpunn.layers.merge import Add, Concatenate, Flatten
from gpunn.layers.normalization import BatchNorm, GroupNorm, LocalResponseNorm
from gpunn.layers.pooling import GlobalMeanPool2d, MaxPool2d, MeanPool2d, MedianPool2d
from gpunn.layers.softmax import Softmax

__all__ = [
    "ELU",
    "Add",
    "BatchNorm",
    "Concatenate",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GeneralizedReLU",
    "GlobalMeanPool2d",
    "GroupNorm",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LocallyConnected2d",
    "MaxPool2d",
    "MeanPool2d",
    "MedianPool2d",
    "PReLU",
    "Parameter",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Statistic",
    "Step",
    "Swish",
    "Tanh",
    "image_input",
]
