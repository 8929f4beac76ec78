"""VGG (Simonyan and Zisserman, 2015): stacks of 3x3 convolutions between five poolings, 11 to 19 layers deep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from gpunn.geometry import Shape
from gpunn.initializers import Normal
from gpunn.layers import BatchNorm, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential

#: Convolutions between the poolings; columns A, B, D and E of table 1 of the paper.
CONVOLUTIONS: Mapping[int, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}

#: Filters of every convolution of a stack.
FILTERS = (64, 128, 256, 512, 512)


def features(depth: int, batch_norm: bool) -> Iterator[Layer]:
    """The five stacks of convolutions, each closed by a pooling that halves the image."""
    for stack, (count, filters) in enumerate(zip(CONVOLUTIONS[depth], FILTERS, strict=True), start=1):
        for place in range(1, count + 1):
            yield Conv2d(filters, 3, padding=1, name=f"conv{stack}_{place}")
            if batch_norm:
                yield BatchNorm(name=f"bn{stack}_{place}")
            yield ReLU(name=f"relu{stack}_{place}")
        yield MaxPool2d(2, name=f"pool{stack}")


def build_vgg(image: Shape, classes: int, depth: int, batch_norm: bool) -> Network:
    """The network for 224x224x3: five stacks and three linear layers."""
    return Sequential(
        *features(depth, batch_norm),
        Flatten(name="flatten"),
        Linear(25088, 4096, weight=Normal(0.01), name="fc6"),
        ReLU(name="relu6"),
        Dropout(0.5, name="drop6"),
        Linear(4096, 4096, weight=Normal(0.01), name="fc7"),
        ReLU(name="relu7"),
        Dropout(0.5, name="drop7"),
        Linear(4096, classes, weight=Normal(0.01), name="fc8"),
    ).network(image, vgg_name(depth, batch_norm))


def build_vgg_cifar(image: Shape, classes: int, depth: int, batch_norm: bool) -> Network:
    """The network for 32x32x3, where one pixel is left after five poolings: one linear layer on 512 features."""
    return Sequential(
        *features(depth, batch_norm), Flatten(name="flatten"), Linear(512, classes, weight=Normal(0.01), name="fc6")
    ).network(image, vgg_name(depth, batch_norm) + "-cifar")


def vgg_name(depth: int, batch_norm: bool) -> str:
    """ "vgg16" or "vgg16-bn"."""
    return f"vgg{depth}-bn" if batch_norm else f"vgg{depth}"


# Section 3.1 of the paper: batches of 256, 74 epochs, the rate divided by 10 three times on the way.
RECIPE = Recipe(epochs=74, batch_size=256, learning_rate=0.01, weight_decay=5e-4, schedule="step:20,0.1")

# The paper has no recipe for images of 32x32; without batch norm a smaller rate is the safe one.
RECIPE_CIFAR = Recipe(epochs=100, batch_size=128, learning_rate=0.01, weight_decay=5e-4, schedule="cosine")
RECIPE_CIFAR_BATCH_NORM = Recipe(epochs=100, batch_size=128, learning_rate=0.05, weight_decay=5e-4, schedule="cosine")


def _models() -> Iterator[Model]:
    for depth in CONVOLUTIONS:
        for batch_norm in (False, True):
            added = " with batch norm" if batch_norm else ""
            yield Model(
                vgg_name(depth, batch_norm),
                (224, 224, 3),
                1000,
                False,
                partial(build_vgg, depth=depth, batch_norm=batch_norm),
                RECIPE,
                f"VGG of {depth} layers{added}",
            )
            yield Model(
                vgg_name(depth, batch_norm) + "-cifar",
                (32, 32, 3),
                10,
                False,
                partial(build_vgg_cifar, depth=depth, batch_norm=batch_norm),
                RECIPE_CIFAR_BATCH_NORM if batch_norm else RECIPE_CIFAR,
                f"VGG of {depth - 2} layers for 32x32 images{added}",
            )


VGG = tuple(_models())
