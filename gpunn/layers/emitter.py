"""What a layer may ask for while it emits its calls. gpunn.program provides it, and alone knows what a buffer is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from gpunn.backend.attributes import Arithmetic
from gpunn.backend.contract import DType, Layout
from gpunn.geometry import Shape


class Target(NamedTuple):
    """Where a gradient goes, and whether it is added to what is there."""

    buffer: Any
    accumulate: bool


class Emitter(Protocol):
    """The view that one node has of the program being built."""

    @property
    def batch(self) -> int:
        """Images in a batch."""

    @property
    def training(self) -> bool:
        """Whether this program trains; else it evaluates."""

    @property
    def seed(self) -> int:
        """The seed of the run."""

    @property
    def arithmetic(self) -> Arithmetic:
        """How products are computed."""

    @property
    def accumulated(self) -> DType:
        """The number type of sums and statistics."""

    @property
    def index(self) -> int:
        """The place of this node in its network."""

    @property
    def differentiated(self) -> bool:
        """Whether a backward pass through this node follows."""

    def input(self, position: int = 0) -> Any:
        """An input of the node."""

    @property
    def inputs(self) -> tuple[Any, ...]:
        """All inputs of the node."""

    @property
    def output(self) -> Any:
        """The output of the node."""

    def pass_through(self) -> None:
        """In this mode the node does nothing: its output is its first input."""

    def parameter(self, name: str) -> Any:
        """A parameter of the layer."""

    def factor(self, name: str) -> Any:
        """A parameter in the number type that products take: rounded, where that is narrower than its own."""

    def statistic(self, name: str) -> Any:
        """A running statistic: while training the proposed one, else the committed one."""

    def control(self, name: str) -> Any:
        """An array of one element that changes from step to step."""

    def saved(self, name: str, shape: Shape, dtype: DType | None = None, layout: Layout = "plain") -> Any:
        """An array of this node's own, kept from forward to backward; the default type is the stored one."""

    def workspace(self, primitive: str, geometry: object, **settings: object) -> Any:
        """The scratch memory that a primitive asks for, whose companion takes the geometry and these settings."""

    def output_gradient(self) -> Any:
        """The gradient of the output."""

    def input_gradient(self, position: int = 0) -> Target | None:
        """Where the gradient of an input goes; None when nobody wants it."""

    def parameter_gradient(self, name: str) -> Target | None:
        """Where the gradient of a parameter goes; None when it is frozen."""

    def required_parameter_gradient(self, name: str) -> Target:
        """The same for a primitive that cannot leave a gradient out: frozen parameters get one that is not used."""

    def call(self, primitive: str, writes: Mapping[str, Any], reads: Mapping[str, Any], **settings: object) -> None:
        """One call of a primitive, its arguments by their names in the contract."""
