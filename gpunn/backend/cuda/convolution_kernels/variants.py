"""What the kernels of a convolution have in common on the host, so that several may serve one primitive.

A variant is a way to compute a primitive: it says which problems it serves, what scratch it needs and what it costs,
and launches. The others of its primitive give the same result up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gpunn.backend.attributes import Arithmetic
from gpunn.backend.contract import Array, DType, Memory
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import DeviceError
from gpunn.geometry import Conv2dGeometry


@dataclass(frozen=True)
class Problem:
    """What is known of a convolution before its arrays are.

    Attributes:
        dtype: of activations, their gradients and the filters.
        capability: the device's compute capability, such as 80.
    """

    geometry: Conv2dGeometry
    dtype: DType
    arithmetic: Arithmetic
    capability: int

    @property
    def key(self) -> str:
        """The problem in words, for the tuner."""
        return f"{self.geometry} {self.dtype} {self.arithmetic.multiplied}"


# Calls are compared by identity: arrays have no truth value.
@dataclass(frozen=True, eq=False)
class ForwardCall:
    """The arrays of convolution2d_forward; the kernel applies the bias and, where asked for, ReLU.

    Attributes:
        y: of the problem's type or float32.
    """

    problem: Problem
    y: Array
    x: Array
    w: Array
    bias: Array | None
    apply_relu: bool
    workspace: Memory

    @property
    def may_repeat(self) -> bool:
        """Whether a second launch gives the same again."""
        return True


@dataclass(frozen=True, eq=False)
class BackwardDataCall:
    """The arrays of convolution2d_backward_data.

    Attributes:
        saved: gx is 0 where this output of a ReLU is not above 0; None without a ReLU.
    """

    problem: Problem
    gx: Array
    gy: Array
    w: Array
    saved: Array | None
    accumulate: bool
    workspace: Memory

    @property
    def may_repeat(self) -> bool:
        """Whether a second launch gives the same again."""
        return not self.accumulate


@dataclass(frozen=True, eq=False)
class BackwardFilterCall:
    """The arrays of convolution2d_backward_filter; gw and gbias are float32."""

    problem: Problem
    gw: Array
    gbias: Array | None
    x: Array
    gy: Array
    accumulate: bool
    workspace: Memory

    @property
    def may_repeat(self) -> bool:
        """Whether a second launch gives the same again."""
        return not self.accumulate


class Repeatable(Protocol):
    """What is common to the three calls."""

    @property
    def problem(self) -> Problem:
        """The geometry and the types."""

    @property
    def may_repeat(self) -> bool:
        """Whether a second launch gives the same again."""


Call = TypeVar("Call", bound=Repeatable)
_Call = TypeVar("_Call", contravariant=True)


class Variant(Protocol[_Call]):
    """One way to compute a primitive."""

    @property
    def name(self) -> str:
        """As the tuner keeps it, such as "simt 128"."""

    def serves(self, problem: Problem) -> bool:
        """Whether the architecture, the types and the geometry allow it."""

    def accepts(self, call: _Call) -> bool:
        """Whether pitches and addresses allow it, too."""

    def cost(self, problem: Problem) -> float:
        """A rule of thumb for its time: the multiply-adds it executes over how many times simt 128's rate it has."""

    def flops(self, problem: Problem) -> int:
        """What it executes, two for each multiply-add: whole tiles, full or not."""

    def workspace(self, problem: Problem) -> int:
        """Bytes of scratch; the same on every device that it serves."""

    def launch(self, device: CudaDevice, call: _Call) -> None:
        """Compute."""


def largest_workspace(variants: Sequence[Variant[Call]], problem: Problem) -> int:
    """Bytes that suffice for whichever variant is chosen."""
    return max((variant.workspace(problem) for variant in variants if variant.serves(problem)), default=0)


def launch_best(device: CudaDevice, primitive: str, variants: Sequence[Variant[Call]], call: Call) -> None:
    """Launch the variant that the tuner chooses; the cheapest by rule of thumb where it may not try.

    Raises:
        DeviceError: when no variant serves the problem.
    """
    problem = call.problem
    fitting = [variant for variant in variants if variant.serves(problem) and variant.accepts(call)]
    if not fitting:
        raise DeviceError(
            f"{primitive}: no kernel multiplies {problem.arithmetic.multiplied} with arrays of {problem.dtype} on a "
            f"device of compute capability {problem.capability / 10}; choose another precision"
        )
    by_name = {variant.name: variant for variant in sorted(fitting, key=lambda variant: variant.cost(problem))}
    names = list(by_name)
    chosen = names[0]
    if call.may_repeat and len(names) > 1:
        # What a call accepts depends on its pitches, so the candidates are part of the key.
        key = f"{primitive} {problem.key} of {', '.join(sorted(names))}"
        chosen = device.tuner.choose(key, names, lambda name: by_name[name].launch(device, call))
    device.journal.chose(chosen, lambda: by_name[chosen].flops(problem))
    by_name[chosen].launch(device, call)
