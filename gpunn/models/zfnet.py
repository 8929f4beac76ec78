"""ZFNet (Zeiler and Fergus, 2014): AlexNet with smaller filters and steps in its first layers."""

from __future__ import annotations

from gpunn.geometry import Shape
from gpunn.initializers import Normal
from gpunn.layers import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential


def build_zfnet(image: Shape, classes: int) -> Network:
    """62,357,608 parameters; pooling rounds up, as figure 3 of the paper shows (110 to 55, 26 to 13).

    Weights start as He's normal instead of the paper's 0.01, with which the signal fades over eight layers.
    """
    return Sequential(
        Conv2d(96, 7, stride=2, padding=1, name="conv1"),
        ReLU(name="relu1"),
        MaxPool2d(3, 2, ceil_mode=True, name="pool1"),
        LocalResponseNorm(name="norm1"),
        Conv2d(256, 5, stride=2, name="conv2"),
        ReLU(name="relu2"),
        MaxPool2d(3, 2, ceil_mode=True, name="pool2"),
        LocalResponseNorm(name="norm2"),
        Conv2d(384, 3, padding=1, name="conv3"),
        ReLU(name="relu3"),
        Conv2d(384, 3, padding=1, name="conv4"),
        ReLU(name="relu4"),
        Conv2d(256, 3, padding=1, name="conv5"),
        ReLU(name="relu5"),
        MaxPool2d(3, 2, ceil_mode=True, name="pool5"),
        Flatten(name="flatten"),
        Linear(9216, 4096, weight=Normal(0.01), name="fc6"),
        ReLU(name="relu6"),
        Dropout(0.5, name="drop6"),
        Linear(4096, 4096, weight=Normal(0.01), name="fc7"),
        ReLU(name="relu7"),
        Dropout(0.5, name="drop7"),
        Linear(4096, classes, weight=Normal(0.01), name="fc8"),
    ).network(image, "zfnet")


# Section 3 of the paper: batches of 128, rate 0.01, momentum 0.9, 70 epochs; it lowers the rate by hand when the
# validation error stands still, here in fixed steps, and gives no weight decay: AlexNet's.
RECIPE = Recipe(epochs=70, batch_size=128, learning_rate=0.01, weight_decay=5e-4, schedule="step:20,0.1")

ZFNET = Model("zfnet", (224, 224, 3), 1000, False, build_zfnet, RECIPE, "ZFNet, AlexNet with finer first layers")
