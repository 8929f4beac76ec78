"""Activations with their settings, and shapes of elementwise work."""

from __future__ import annotations

from gpunn.backend.attributes import Activation

ACTIVATIONS = (
    Activation("linear"),
    Activation("step"),
    Activation("sigmoid"),
    Activation("tanh"),
    Activation("relu"),
    Activation("leaky_relu", 0.1),
    Activation("leaky_relu", 0.0),
    Activation("leaky_relu", 1.0),
    Activation("generalized_relu", -1.0),
    Activation("generalized_relu", 0.0),
    Activation("generalized_relu", 0.25),
    Activation("generalized_relu", 2.0),
    Activation("elu", 1.0),
    Activation("elu", 0.3),
    Activation("elu", 0.0),
    Activation("elu", -0.5),
    Activation("softplus"),
    Activation("swish"),
)

#: Functions that give whole numbers for whole numbers, where their parameter a is whole.
WHOLE = ("linear", "step", "relu", "leaky_relu", "generalized_relu")

#: Odd batches, one pixel, one channel, three channels, vectors, and one image large enough to be cut into pieces.
SHAPES = ((1, 1), (7, 10), (3, 1, 1, 5), (5, 3, 4, 3), (2, 7, 1, 1), (1, 1, 6, 2), (3, 40, 50, 60))
