"""A multi-layer perceptron: the 300-100 network that LeCun, Bottou, Bengio and Haffner (1998) compare LeNet with."""

from __future__ import annotations

from gpunn.geometry import Shape
from gpunn.initializers import Normal
from gpunn.layers import Flatten, Linear, ReLU
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential


def build_mlp(image: Shape, classes: int) -> Network:
    """Two hidden layers; images of any size."""
    return Sequential(
        Flatten(name="flatten"),
        Linear(None, 300, name="fc1"),
        ReLU(name="relu1"),
        Linear(None, 100, name="fc2"),
        ReLU(name="relu2"),
        Linear(100, classes, weight=Normal(0.01), name="fc3"),
    ).network(image, "mlp")


RECIPE = Recipe(epochs=25, batch_size=64, learning_rate=0.05, weight_decay=5e-4, schedule="cosine")

MLP = Model("mlp", (28, 28, 1), 10, True, build_mlp, RECIPE, "multi-layer perceptron, 300 and 100 hidden units")
