"""What every layer is: settings, shape inference, parameters, and the primitive calls of forward and backward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gpunn.errors import ShapeError, UsageError
from gpunn.geometry import ReceptiveField, Shape
from gpunn.graph import Node, describe_shape, origin
from gpunn.initializers import Initializer
from gpunn.layers.emitter import Emitter


@dataclass(frozen=True)
class Parameter:
    """An array that training changes.

    Attributes:
        fan_in: inputs that meet in one output, as initialisers count them.
        decays: whether weight decay and penalties apply; biases and normalisation parameters are spared.
    """

    name: str
    shape: Shape
    initializer: Initializer
    fan_in: int
    decays: bool = True


@dataclass(frozen=True)
class Statistic:
    """An array that training measures, such as a running mean, and the value it starts with."""

    name: str
    shape: Shape
    initial: float


class Layer(ABC):
    """A kind of layer with its settings; it holds no arrays and runs nothing.

    Attributes:
        kind: the stem of automatic names and the type that a summary prints.
        transparent: whether errors about what follows name the node before this one.
        widens: whether its forward primitive can write a wider number type than it reads.
        learning_rate_factor: multiplies the learning rate of this layer's parameters.
        trainable: False freezes this layer's parameters.
    """

    kind: str
    transparent: ClassVar[bool] = False
    widens: ClassVar[bool] = False

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.learning_rate_factor = 1.0
        self.trainable = True

    def __call__(self, *inputs: Node) -> Node:
        """Use the layer on nodes.

        Raises:
            ShapeError: when the shapes do not fit; the text names the layer, what it got, and what would fit.
        """
        if not inputs:
            raise UsageError(
                f"layer '{self.name or self.kind}' needs a node to work on; call it on image_input(...) or on what "
                "another layer returned"
            )
        names = inputs[0].names
        if self.name is None:
            self.name = names.next(self.kind)
        try:
            shape = self.output_shape([node.shape for node in inputs])
        except UsageError as error:
            raise ShapeError(self._complaint(error, inputs)) from None
        return Node(self, inputs, shape, self.name, names)

    def _complaint(self, error: UsageError, inputs: Sequence[Node]) -> str:
        nodes = [origin(inputs[0])] if len(inputs) == 1 else inputs
        sources = " and ".join(f"'{node.name}' ({describe_shape(node.shape)})" for node in nodes)
        if not isinstance(error, ShapeError):
            problem = str(error).removeprefix("convolution: ").removeprefix("pooling: ")
            return f"{self.kind} '{self.name}' on {sources}: {problem}"
        problem, *remedies = str(error).split("; ", 1)
        advice = [self.advice(inputs)] if self.advice(inputs) else []
        return "; ".join([f"{self.kind} '{self.name}' {problem} from {sources}", *remedies, *advice])

    @abstractmethod
    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """The shape of one output image.

        Raises:
            ShapeError: when the inputs do not fit: a clause that follows the layer's name, and after a semicolon
                what would help.
            UsageError: when sizes are impossible: a sentence.
        """

    def advice(self, inputs: Sequence[Node]) -> str:
        """What would make inputs fit that do not; empty when there is nothing to say."""
        return ""

    def parameters(self, inputs: Sequence[Shape]) -> Sequence[Parameter]:
        """The arrays to train, in the order in which their gradients are named."""
        return ()

    def statistics(self, inputs: Sequence[Shape]) -> Sequence[Statistic]:
        """The arrays to measure."""
        return ()

    def flops(self, inputs: Sequence[Shape]) -> int:
        """Floating-point operations of one image's forward pass; only products are counted, two per multiply-add."""
        return 0

    def receptive_field(self, field: ReceptiveField) -> ReceptiveField:
        """The field of an output, given that of an input."""
        return field

    @abstractmethod
    def forward(self, emit: Emitter) -> None:
        """Emit the calls that write the output."""

    @abstractmethod
    def backward(self, emit: Emitter) -> None:
        """Emit the calls that write the gradients of inputs and parameters that are wanted."""


def require_image(inputs: Sequence[Shape]) -> Shape:
    """The one input, rows, columns and channels.

    Raises:
        ShapeError: when it is a vector.
    """
    if len(inputs) != 1:
        raise ShapeError(f"takes one input, got {len(inputs)}")
    if len(inputs[0]) != 3:
        raise ShapeError(f"expects an image (rows x columns x channels), got {describe_shape(inputs[0])}")
    return inputs[0]


def require_one(inputs: Sequence[Shape]) -> Shape:
    """The one input, of any shape.

    Raises:
        ShapeError: when there are more.
    """
    if len(inputs) != 1:
        raise ShapeError(f"takes one input, got {len(inputs)}")
    return inputs[0]
