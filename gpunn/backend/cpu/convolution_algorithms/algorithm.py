"""What the algorithms of a convolution have in common: the calls that they carry out, and what is asked of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from gpunn.backend.attributes import Activation
from gpunn.backend.contract import DType
from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Conv2dGeometry

Array = np.ndarray[Any, Any]


# Calls are compared by identity: arrays have no truth value.
@dataclass(frozen=True, eq=False)
class ForwardCall:
    """The arguments of convolution2d_forward."""

    y: Array
    x: Array
    w: Array
    bias: Array | None
    geometry: Conv2dGeometry
    activation: Activation
    workspace: Array

    @property
    def images(self) -> tuple[Array, Array]:
        """What is read and written pixel by pixel."""
        return self.x, self.y


@dataclass(frozen=True, eq=False)
class BackwardDataCall:
    """The arguments of convolution2d_backward_data but for the activation, whose derivative is applied afterwards."""

    gx: Array
    gy: Array
    w: Array
    geometry: Conv2dGeometry
    accumulate: bool
    workspace: Array

    @property
    def images(self) -> tuple[Array, Array]:
        """What is read and written pixel by pixel."""
        return self.gy, self.gx


@dataclass(frozen=True, eq=False)
class BackwardFilterCall:
    """The arguments of convolution2d_backward_filter."""

    gw: Array
    gbias: Array | None
    x: Array
    gy: Array
    geometry: Conv2dGeometry
    accumulate: bool
    workspace: Array

    @property
    def images(self) -> tuple[Array, Array]:
        """What is read pixel by pixel."""
        return self.x, self.gy


Call = TypeVar("Call", ForwardCall, BackwardDataCall, BackwardFilterCall)


def any_call(call: object) -> bool:
    """What an algorithm accepts that takes arrays however they lie in memory."""
    return True


def any_geometry(geometry: Conv2dGeometry) -> bool:
    """What an algorithm serves that computes every convolution."""
    return True


def defined_flops(geometry: Conv2dGeometry) -> int:
    """Of an algorithm that multiplies what the definition does, padding included."""
    return geometry.flops


# By identity too, so that tables of algorithms are quickly looked up.
@dataclass(frozen=True, eq=False)
class Algorithm(Generic[Call]):
    """One way to compute a primitive; the others give the same result up to rounding.

    Attributes:
        name: what people call it.
        run: computes.
        workspace: bytes of scratch.
        cost: a rule of thumb for its time, in multiply-adds of a large matrix product.
        serves: whether it computes a geometry, for every memory order of its arrays or for one.
        accepts: whether it takes a call's arrays as they lie in memory.
        flops: two for each multiply-add that it carries out, padding included.
        exact: no number is rounded but in products and sums of the definition; else it transforms what it multiplies.
    """

    name: str
    run: Callable[[CpuDevice, Call], None]
    workspace: Callable[[CpuDevice, Conv2dGeometry, DType], int]
    cost: Callable[[Conv2dGeometry], float]
    serves: Callable[[Conv2dGeometry], bool] = any_geometry
    accepts: Callable[[Call], bool] = any_call
    flops: Callable[[Conv2dGeometry], int] = defined_flops
    exact: bool = True
