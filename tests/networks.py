"""Small networks that together hold every kind of layer, with odd sizes: for tests of gradients and of programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpunn.graph import Node
from gpunn.initializers import Normal
from gpunn.layers import (
    ELU,
    Add,
    BatchNorm,
    Concatenate,
    Conv2d,
    Dropout,
    Flatten,
    GeneralizedReLU,
    GlobalMeanPool2d,
    GroupNorm,
    Identity,
    LeakyReLU,
    Linear,
    LocallyConnected2d,
    LocalResponseNorm,
    MaxPool2d,
    MeanPool2d,
    MedianPool2d,
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Step,
    Swish,
    Tanh,
    image_input,
)
from gpunn.losses import BinaryCrossEntropy, Objective, SoftmaxCrossEntropy, SoftTargetCrossEntropy, SquaredError
from gpunn.network import Network, Sequential


@dataclass(frozen=True)
class Trained:
    """A network and what it minimises."""

    network: Network
    objectives: tuple[Objective, ...]

    def node(self, name: str) -> Node:
        """The first node of that name."""
        return next(node for node in self.network.nodes if node.name == name)


def labelled(output: Node) -> Trained:
    """One output, trained with class labels."""
    return Trained(Network(output), (Objective(output, SoftmaxCrossEntropy()),))


def plain() -> Trained:
    """A chain as everyone knows it."""
    chain = Sequential(
        Conv2d(4, 3, padding="same"),
        ReLU(),
        MaxPool2d(2),
        Conv2d(3, 2),
        ReLU(),
        Flatten(),
        Linear(None, 7),
        ReLU(),
        Linear(7, 5),
    )
    return labelled(chain(image_input((7, 6, 3))))


def strange_sizes() -> Trained:
    """Stride above the kernel, dilation, groups, a kernel larger than the image, four different paddings."""
    chain = Sequential(
        Conv2d(4, 2, stride=3, padding=(1, 0, 2, 1), bias=False),
        Tanh(),
        Conv2d(6, 2, groups=2, dilation=2, padding="full"),
        LeakyReLU(0.1),
        Conv2d(2, 7, stride=2, padding=3, groups=2),
        GlobalMeanPool2d(),
        Linear(2, 3, bias=False),
    )
    return labelled(chain(image_input((9, 8, 2))))


def one_pixel() -> Trained:
    """Images of 1x1x1 and maps of 1x1."""
    chain = Sequential(
        Conv2d(3, 3, padding="same"), Tanh(), GroupNorm(1), MeanPool2d(1), Conv2d(2, 1), Flatten(), Linear(2, 2)
    )
    return labelled(chain(image_input((1, 1, 1))))


def one_pixel_batch_norm() -> Trained:
    """Batch norm of maps of 1x1."""
    chain = Sequential(Conv2d(3, 3, padding="same"), Tanh(), BatchNorm(), Conv2d(2, 1), Flatten(), Linear(2, 2))
    return labelled(chain(image_input((1, 1, 1))))


def norms() -> Trained:
    """Every normalisation of images, group norm of vectors, and a PReLU between them."""
    chain = Sequential(
        Conv2d(6, 3),
        BatchNorm(),
        ReLU(),
        LocalResponseNorm(k=1.0, n=4, alpha=0.3),
        Conv2d(4, 2),
        GroupNorm(2),
        PReLU(),
        LocalResponseNorm(),
        Flatten(),
        Linear(None, 6),
        Sigmoid(),
        GroupNorm(3),
        Linear(6, 3),
    )
    return labelled(chain(image_input((5, 4, 3))))


def vector_batch_norm() -> Trained:
    """Batch norm of vectors."""
    chain = Sequential(Linear(5, 6), BatchNorm(eps=1e-3), Sigmoid(), Linear(6, 3))
    return labelled(chain(image_input((5,))))


def pools() -> Trained:
    """Every pooling, also with padding, with overlap, and rounded up."""
    chain = Sequential(
        Conv2d(3, 3, padding=1),
        MaxPool2d(3, 2, padding=1),
        MedianPool2d(2, 1),
        Conv2d(3, 1),
        MeanPool2d(2, 2, padding=(1, 0, 0, 1)),
        MedianPool2d(3, 2, padding=1),
        MaxPool2d(2, 2, ceil_mode=True),
        GlobalMeanPool2d(),
        Linear(3, 4),
    )
    return labelled(chain(image_input((13, 12, 2))))


def activations() -> Trained:
    """Every activation; the step, which passes no gradient, beside a path that does."""
    image = image_input((3, 2, 2))
    chain = Sequential(
        Conv2d(4, 2, padding="same"),
        Sigmoid(),
        Conv2d(4, 1),
        Softplus(),
        Conv2d(4, 1),
        Swish(),
        Conv2d(4, 1),
        ELU(0.7),
        Conv2d(4, 1),
        GeneralizedReLU(-1.0),
        Identity(),
        Conv2d(4, 1),
        GeneralizedReLU(0.3),
        Conv2d(4, 1),
        PReLU(),
    )
    smooth = chain(image)
    hard = Step()(Conv2d(4, 1)(smooth))
    return labelled(Linear(None, 3)(Flatten()(Add()(smooth, hard))))


def branches() -> Trained:
    """A residual and an inception block, nodes read three times, a sum of a node with itself."""
    image = image_input((4, 4, 3))
    stem = ReLU()(Conv2d(4, 3, padding=1)(image))
    residual = Add()(Conv2d(4, 3, padding=1)(Tanh()(stem)), stem)
    left = ReLU()(Conv2d(2, 1)(residual))
    right = Conv2d(3, 3, padding="same")(residual)
    joined = Concatenate()(left, residual, right)
    doubled = Add()(joined, joined)
    return labelled(Linear(None, 3)(Flatten()(doubled)))


def concatenations() -> Trained:
    """Joined branches that are joined again, also twice, and beside what reads, passes on or writes over them."""
    image = image_input((4, 3, 2))
    stem = ReLU()(Conv2d(3, 3, padding=1)(image))
    grown = Concatenate()(stem, Conv2d(2, 3, padding=1)(stem))
    dense = Concatenate()(grown, Tanh()(Conv2d(3, 1)(grown)), image)
    again = Concatenate()(stem, Swish()(dense), stem)
    pooled = Concatenate()(GlobalMeanPool2d()(again), Flatten()(Dropout(0.2)(MaxPool2d((2, 1))(dense))))
    left, right = Tanh()(Linear(None, 3)(pooled)), ReLU()(Linear(None, 4)(pooled))
    return labelled(Linear(None, 3)(Sigmoid()(Concatenate()(left, Identity()(left), Dropout(0.4)(right), right))))


def shared() -> Trained:
    """A convolution, a batch norm and a linear layer that are each used twice."""
    image = image_input((4, 3, 2))
    convolution, norm, linear = Conv2d(2, 3, padding=1), BatchNorm(), Linear(24, 3)
    once = Tanh()(norm(convolution(image)))
    twice = Tanh()(norm(convolution(once)))
    return labelled(Add()(linear(Flatten()(once)), linear(Flatten()(twice))))


def several_losses() -> Trained:
    """Four weighted losses: two on one node, one in the middle, one on each side of a fork."""
    image = image_input((3, 3, 1))
    stem = Tanh()(Conv2d(3, 2)(image))
    features = Flatten()(stem)
    scores = Linear(None, 4, name="scores")(features)
    values = Linear(None, 2, name="values")(Tanh()(scores))
    objectives = (
        Objective(scores, SoftmaxCrossEntropy(smoothing=0.1), 0.5, "class"),
        Objective(scores, SoftTargetCrossEntropy(smoothing=0.2), 1.5, "mixture"),
        Objective(values, SquaredError(0.5), 2.0, "position"),
        Objective(features, BinaryCrossEntropy(), -0.25, "presence"),
    )
    return Trained(Network((scores, values)), objectives)


def local() -> Trained:
    """Unshared filters, a softmax in the middle, and squared errors of its output."""
    chain = Sequential(LocallyConnected2d(3, 2, stride=2, padding=1), Tanh(), Flatten(), Linear(None, 4), Softmax())
    output = chain(image_input((4, 5, 2)))
    return Trained(Network(output), (Objective(output, SquaredError(), 1.0, "position"),))


def dropouts() -> Trained:
    """Both modes, on images and on vectors, beside a layer that drops nothing."""
    chain = Sequential(
        Conv2d(4, 3, padding=1),
        ReLU(),
        Dropout(0.3),
        Flatten(),
        Linear(None, 9),
        Tanh(),
        Dropout(0.0),
        Dropout(0.5, mode="classic"),
        Linear(9, 3),
    )
    return labelled(chain(image_input((3, 4, 2))))


def vectors() -> Trained:
    """No image at all: 3 inputs, 25 hidden units, 12 outputs."""
    weight = Normal(0.5)
    chain = Sequential(Linear(3, 25, weight=weight), Tanh(), Linear(25, 12, weight=weight))
    return labelled(chain(image_input((3,))))


NETWORKS: tuple[Callable[[], Trained], ...] = (
    plain,
    strange_sizes,
    one_pixel,
    one_pixel_batch_norm,
    norms,
    vector_batch_norm,
    pools,
    activations,
    branches,
    concatenations,
    shared,
    several_losses,
    local,
    dropouts,
    vectors,
)

#: Their batch norms see one number a channel and image: of a single image nothing is left but the shift.
NEED_SEVERAL_IMAGES = (one_pixel_batch_norm, vector_batch_norm)
