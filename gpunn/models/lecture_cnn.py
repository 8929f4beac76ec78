"""The worked example of the lecture notes: two convolutions with "same" padding, then two linear layers."""

from __future__ import annotations

from gpunn.geometry import Shape
from gpunn.initializers import Normal
from gpunn.layers import Conv2d, Flatten, Linear, ReLU
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential


def build_lecture_cnn(image: Shape, classes: int) -> Network:
    """2,103,156 parameters for 32x32x3 and 4 classes; images of any size."""
    return Sequential(
        Conv2d(8, 3, padding="same", name="conv1"),
        ReLU(name="relu1"),
        Conv2d(16, 5, stride=2, padding="same", name="conv2"),
        ReLU(name="relu2"),
        Flatten(name="flatten"),
        Linear(None, 512, name="fc3"),
        ReLU(name="relu3"),
        Linear(512, classes, weight=Normal(0.01), name="fc4"),
    ).network(image, "lecture-cnn")


# The notes give the network without a recipe; this one is LeNet's, slower.
RECIPE = Recipe(epochs=30, batch_size=64, learning_rate=0.01, weight_decay=5e-4, schedule="cosine")

LECTURE_CNN = Model(
    "lecture-cnn", (32, 32, 3), 4, True, build_lecture_cnn, RECIPE, "the worked network of the lecture notes"
)
