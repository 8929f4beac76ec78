"""What is trained: gpunn's models, and networks that no algorithm was chosen for."""

from __future__ import annotations

from collections.abc import Mapping

from gpunn.geometry import Shape
from gpunn.graph import Node
from gpunn.layers import Add, BatchNorm, Conv2d, Flatten, GlobalMeanPool2d, Linear, MaxPool2d, ReLU, image_input
from gpunn.models import MODELS
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network

RECIPE = Recipe(epochs=1, batch_size=32, learning_rate=0.1, weight_decay=1e-4)


class _Builder:
    """Gives each layer of a network a number in its name."""

    def __init__(self) -> None:
        self._convolutions = self._sums = 0

    def convolution(
        self, source: Node, filters: int, size: int, stride: int = 1, relu: bool = True, groups: int = 1
    ) -> Node:
        """A convolution of odd size that keeps rows and columns but for its stride, batch norm, and ReLU."""
        self._convolutions += 1
        n = self._convolutions
        layer = Conv2d(filters, size, stride=stride, padding=size // 2, groups=groups, bias=False, name=f"conv{n}")
        convolved = layer(source)
        normalized = BatchNorm(name=f"bn{n}")(convolved)
        return ReLU(name=f"relu{n}")(normalized) if relu else normalized

    def skip(self, source: Node, branch: Node, stride: int) -> Node:
        """The sum of a branch and of what it began with, projected where the shapes differ (He et al., 2016)."""
        shortcut = source
        if source.shape != branch.shape:
            shortcut = self.convolution(source, branch.shape[-1], 1, stride, relu=False)
        self._sums += 1
        return ReLU(name=f"sum{self._sums}_relu")(Add(name=f"sum{self._sums}")(branch, shortcut))

    def plain_block(self, source: Node, filters: int, stride: int) -> Node:
        """Two 3x3 convolutions beside a shortcut."""
        branch = self.convolution(source, filters, 3, stride)
        return self.skip(source, self.convolution(branch, filters, 3, relu=False), stride)

    def bottleneck_block(self, source: Node, filters: int, stride: int) -> Node:
        """1x1, 3x3 and 1x1 convolutions beside a shortcut; the last has four times as many filters."""
        branch = self.convolution(self.convolution(source, filters, 1), filters, 3, stride)
        return self.skip(source, self.convolution(branch, 4 * filters, 1, relu=False), stride)

    def grouped_block(self, source: Node, filters: int, stride: int) -> Node:
        """1x1, 3x3 in 32 groups and 1x1 beside a shortcut; the last has twice as many filters."""
        branch = self.convolution(self.convolution(source, filters, 1), filters, 3, stride, groups=32)
        return self.skip(source, self.convolution(branch, 2 * filters, 1, relu=False), stride)

    def separable_block(self, source: Node, filters: int, stride: int) -> Node:
        """A 3x3 filter for each channel, then 1x1 filters across them."""
        channels = source.shape[-1]
        return self.convolution(self.convolution(source, channels, 3, stride, groups=channels), filters, 1)

    def scores(self, source: Node, classes: int) -> Node:
        """Means over the image, and a linear layer."""
        return Linear(None, classes, name="scores")(GlobalMeanPool2d(name="mean")(source))


def resnet_like(image: Shape, classes: int) -> Network:
    """The 18 layers of He et al. (2016), table 1."""
    build = _Builder()
    values = MaxPool2d(3, 2, padding=1, name="pool1")(build.convolution(image_input(image), 64, 7, 2))
    for filters, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        values = build.plain_block(values, filters, stride)
    return Network(build.scores(values, classes), "resnet-like")


def resnet_like_cifar(image: Shape, classes: int) -> Network:
    """The 20 layers of He et al. (2016), section 4.2, with projections."""
    build = _Builder()
    values = build.convolution(image_input(image), 16, 3)
    for filters, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        values = build.plain_block(values, filters, stride)
    return Network(build.scores(values, classes), "resnet-like-cifar")


def bottleneck(image: Shape, classes: int) -> Network:
    """Mostly 1x1 convolutions: blocks of He et al. (2016), figure 5 right, one or two a stage."""
    build = _Builder()
    values = MaxPool2d(3, 2, padding=1, name="pool1")(build.convolution(image_input(image), 64, 7, 2))
    for filters, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (512, 2)):
        values = build.bottleneck_block(values, filters, stride)
    return Network(build.scores(values, classes), "bottleneck")


def grouped(image: Shape, classes: int) -> Network:
    """Blocks of Xie et al. ("Aggregated residual transformations for deep neural networks", 2017), figure 3c."""
    build = _Builder()
    values = MaxPool2d(3, 2, padding=1, name="pool1")(build.convolution(image_input(image), 64, 7, 2))
    for filters, stride in ((128, 1), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        values = build.grouped_block(values, filters, stride)
    return Network(build.scores(values, classes), "grouped")


def depthwise(image: Shape, classes: int) -> Network:
    """Howard et al. ("MobileNets", 2017), table 1, but for four of its blocks of 512 filters."""
    build = _Builder()
    values = build.convolution(image_input(image), 32, 3, 2)
    for filters, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (1024, 2), (1024, 1)):
        values = build.separable_block(values, filters, stride)
    return Network(build.scores(values, classes), "depthwise")


def odd(image: Shape, classes: int) -> Network:
    """Numbers of rows, columns and channels that are multiples of nothing, and filters of several sizes."""
    build = _Builder()
    values = build.convolution(image_input(image), 37, 5)
    values = MaxPool2d(3, 2, name="pool1")(build.convolution(values, 53, 3))
    values = build.convolution(build.convolution(values, 71, 3, 3), 67, 7)
    values = Conv2d(83, (3, 1), name="tall")(build.convolution(values, 91, 3))
    return Network(Linear(None, classes, name="scores")(Flatten(name="flatten")(values)), "odd")


#: Networks that are measured beside gpunn's models.
OTHERS: Mapping[str, Model] = {
    chosen.name: chosen
    for chosen in (
        Model("resnet-like", (224, 224, 3), 1000, True, resnet_like, RECIPE, "3x3 stacks with skip connections"),
        Model("resnet-like-cifar", (32, 32, 3), 10, True, resnet_like_cifar, RECIPE, "the same for small images"),
        Model("bottleneck", (224, 224, 3), 1000, True, bottleneck, RECIPE, "mostly 1x1 convolutions"),
        Model("grouped", (112, 112, 3), 1000, True, grouped, RECIPE, "3x3 convolutions in 32 groups"),
        Model("depthwise", (112, 112, 3), 1000, True, depthwise, RECIPE, "a 3x3 filter for each channel"),
        Model("odd", (59, 43, 3), 7, True, odd, RECIPE, "odd sizes"),
    )
}

#: All, by name.
NETWORKS: Mapping[str, Model] = {**MODELS, **OTHERS}
