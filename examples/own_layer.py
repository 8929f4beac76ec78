"""A network with a branch, and a layer of one's own: a small residual network with concatenated ReLUs.

Run it with `python examples/own_layer.py [EPOCHS]`. A layer says what shape it gives and which primitives compute
it forward and backward; shapes, memory, gradients of branches and the optimiser are the program's affair.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gpunn import backend
from gpunn.backend.attributes import RELU
from gpunn.data import Augmentation, open_data
from gpunn.data.adaptation import adapt, channel_statistics
from gpunn.geometry import Shape
from gpunn.graph import Node
from gpunn.layers import Add, BatchNorm, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, image_input
from gpunn.layers.emitter import Emitter
from gpunn.layers.layer import require_image
from gpunn.network import Network
from gpunn.optimizers import Adam
from gpunn.precision import precision
from gpunn.program.gradient_check import GradientChecker
from gpunn.schedules import parse_schedule
from gpunn.training import Learner, Plan, Rule, Trainer


class ConcatenatedReLU(Layer):
    """[max(0, x), max(0, -x)]: twice the channels, and no information lost (Shang et al., 2016)."""

    kind = "crelu"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        rows, columns, channels = require_image(inputs)
        return (rows, columns, 2 * channels)

    def forward(self, emit: Emitter) -> None:
        positive, negative = self._halves(emit)
        emit.call("activation_forward", writes={"y": positive}, reads={"x": emit.input()}, function=RELU)
        emit.call("scale", writes={"y": negative}, reads={"x": emit.input()}, factor=-1.0, accumulate=False)
        emit.call("activation_forward", writes={"y": negative}, reads={"x": negative}, function=RELU)
        emit.call("concatenate_forward", writes={"y": emit.output}, reads={"xs": (positive, negative)})

    def backward(self, emit: Emitter) -> None:
        target = emit.input_gradient()
        if target is None:
            return
        shape = emit.input().shape
        for half, sign, start in zip(self._halves(emit), (1.0, -1.0), (0, shape[-1]), strict=True):
            gradient = emit.saved(f"gradient{start}", shape, layout="images")
            emit.call(
                "concatenate_backward",
                writes={"gx": gradient},
                reads={"gy": emit.output_gradient()},
                start=start,
                accumulate=False,
            )
            emit.call(
                "activation_backward",
                writes={"gx": gradient},
                reads={"gy": gradient, "saved": half},
                function=RELU,
                accumulate=False,
            )
            emit.call(
                "scale",
                writes={"y": target.buffer},
                reads={"x": gradient},
                factor=sign,
                accumulate=target.accumulate or start > 0,
            )

    def _halves(self, emit: Emitter) -> tuple[object, object]:
        shape = emit.input().shape
        return emit.saved("positive", shape, layout="images"), emit.saved("negative", shape, layout="images")


def residual_block(node: Node, filters: int) -> Node:
    """Two convolutions beside a skip connection (He et al., 2016)."""
    inner = ConcatenatedReLU()(BatchNorm()(Conv2d(filters // 2, 3, padding="same", bias=False)(node)))
    inner = BatchNorm()(Conv2d(filters, 3, padding="same", bias=False)(inner))
    return ReLU()(Add()(node, inner))


def build(image: Shape, classes: int) -> Network:
    """Two residual blocks between a first convolution and a linear layer."""
    node = MaxPool2d(2)(ReLU()(Conv2d(32, 5, padding="same")(image_input(image))))
    node = residual_block(node, 32)
    node = MaxPool2d(2)(residual_block(node, 32))
    return Network(Linear(None, classes)(Flatten()(MaxPool2d(2)(node))), "own-layer")


def main(epochs: int) -> None:
    """Check the gradients of the new layer, then train."""
    small = build((8, 8, 1), 3)
    worst = max(check.error for check in GradientChecker(small, backend.open("cpu"), batch=3, seed=1).run(samples=3))
    print(f"gradients agree with finite differences to {worst:.1e}")

    split = open_data("digits", seed=0)
    network = build((28, 28, 1), len(split.train.classes))
    preprocessing = adapt(split.train.picture_shape, (28, 28, 1), channel_statistics(split.train, 1)).preprocessing
    learner = Learner(network, backend.open("cpu"), precision("float32"), preprocessing, Rule(Adam()))
    plan = Plan(epochs, batch_size=32, schedule=parse_schedule("cosine", 5e-3, epochs))
    for record in Trainer(learner, plan, split, preprocessing, Augmentation.for_digits()).fit():
        print(f"epoch {record.epoch}: loss {record.train_loss:.4f}, validation top-1 {record.validation_top1:.2%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
