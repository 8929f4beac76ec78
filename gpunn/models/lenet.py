"""LeNet with 20-50-500 units: LeNet-5 (LeCun et al., 1998), widened, with ReLU and max pooling."""

from __future__ import annotations

from gpunn.geometry import Shape
from gpunn.initializers import Normal
from gpunn.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential


def build_lenet(image: Shape, classes: int) -> Network:
    """431,080 parameters for 28x28x1 and 10 classes; images of any size from 16x16."""
    return Sequential(
        Conv2d(20, 5, name="conv1"),
        ReLU(name="relu1"),
        MaxPool2d(2, name="pool1"),
        Conv2d(50, 5, name="conv2"),
        ReLU(name="relu2"),
        MaxPool2d(2, name="pool2"),
        Flatten(name="flatten"),
        Linear(None, 500, name="fc3"),
        ReLU(name="relu3"),
        Linear(500, classes, weight=Normal(0.01), name="fc4"),
    ).network(image, "lenet")


# For 4,000 digits: pictures that vary this much need 40 epochs, and a decay well above the usual 5e-4 helps.
RECIPE = Recipe(epochs=40, batch_size=64, learning_rate=0.05, weight_decay=2e-3, schedule="warmup:1,cosine")

LENET = Model("lenet", (28, 28, 1), 10, True, build_lenet, RECIPE, "LeNet with 20-50-500 units, for digits")
