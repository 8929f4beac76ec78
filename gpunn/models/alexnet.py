"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012), as one tower and with the paper's two groups."""

from __future__ import annotations

from gpunn.geometry import Shape
from gpunn.initializers import Constant, Normal
from gpunn.layers import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential


def build_alexnet(image: Shape, classes: int) -> Network:
    """One tower of 64-192-384-256-256 filters without normalisation (Krizhevsky, 2014): 61,100,840 parameters.

    Fully connected weights are N(0, 0.01^2) as in the paper: with He's wider numbers the first scores are so large
    that the recipe's learning rate diverges.
    """
    return Sequential(
        Conv2d(64, 11, stride=4, padding=2, name="conv1"),
        ReLU(name="relu1"),
        MaxPool2d(3, 2, name="pool1"),
        Conv2d(192, 5, padding=2, name="conv2"),
        ReLU(name="relu2"),
        MaxPool2d(3, 2, name="pool2"),
        Conv2d(384, 3, padding=1, name="conv3"),
        ReLU(name="relu3"),
        Conv2d(256, 3, padding=1, name="conv4"),
        ReLU(name="relu4"),
        Conv2d(256, 3, padding=1, name="conv5"),
        ReLU(name="relu5"),
        MaxPool2d(3, 2, name="pool5"),
        Flatten(name="flatten"),
        Dropout(0.5, name="drop6"),
        Linear(9216, 4096, weight=Normal(0.01), name="fc6"),
        ReLU(name="relu6"),
        Dropout(0.5, name="drop7"),
        Linear(4096, 4096, weight=Normal(0.01), name="fc7"),
        ReLU(name="relu7"),
        Linear(4096, classes, weight=Normal(0.01), name="fc8"),
    ).network(image, "alexnet")


def build_alexnet_2group(image: Shape, classes: int) -> Network:
    """The paper's network: local response norm, conv2, conv4 and conv5 in two groups: 60,965,224 parameters.

    First values as in section 5 of the paper: weights N(0, 0.01^2), biases 1 where that feeds ReLUs with positive
    inputs early (conv2, conv4, conv5 and the hidden fully connected layers), 0 elsewhere.
    """
    weight = Normal(0.01)
    one = Constant(1.0)
    return Sequential(
        Conv2d(96, 11, stride=4, weight=weight, name="conv1"),
        ReLU(name="relu1"),
        LocalResponseNorm(name="norm1"),
        MaxPool2d(3, 2, name="pool1"),
        Conv2d(256, 5, padding=2, groups=2, weight=weight, bias_value=one, name="conv2"),
        ReLU(name="relu2"),
        LocalResponseNorm(name="norm2"),
        MaxPool2d(3, 2, name="pool2"),
        Conv2d(384, 3, padding=1, weight=weight, name="conv3"),
        ReLU(name="relu3"),
        Conv2d(384, 3, padding=1, groups=2, weight=weight, bias_value=one, name="conv4"),
        ReLU(name="relu4"),
        Conv2d(256, 3, padding=1, groups=2, weight=weight, bias_value=one, name="conv5"),
        ReLU(name="relu5"),
        MaxPool2d(3, 2, name="pool5"),
        Flatten(name="flatten"),
        Linear(9216, 4096, weight=weight, bias_value=one, name="fc6"),
        ReLU(name="relu6"),
        Dropout(0.5, name="drop6"),
        Linear(4096, 4096, weight=weight, bias_value=one, name="fc7"),
        ReLU(name="relu7"),
        Dropout(0.5, name="drop7"),
        Linear(4096, classes, weight=weight, name="fc8"),
    ).network(image, "alexnet-2group")


# The settings with which the single tower is usually trained on ImageNet: the rate falls by 10 every 30 epochs.
RECIPE = Recipe(epochs=90, batch_size=256, learning_rate=0.01, weight_decay=1e-4, schedule="step:30,0.1")

# Section 5 of the paper: about 90 passes, the rate divided by 10 three times on the way.
RECIPE_2GROUP = Recipe(epochs=90, batch_size=128, learning_rate=0.01, weight_decay=5e-4, schedule="step:25,0.1")

ALEXNET = Model("alexnet", (224, 224, 3), 1000, False, build_alexnet, RECIPE, "AlexNet as a single tower")
ALEXNET_2GROUP = Model(
    "alexnet-2group",
    (227, 227, 3),
    1000,
    False,
    build_alexnet_2group,
    RECIPE_2GROUP,
    "AlexNet as in the paper: two groups, local response norm",
)
