"""Calls of the tensor-core convolutions, one tile at a time."""

from __future__ import annotations

from typing import Any, get_args

from gpunn.backend.attributes import Arithmetic
from gpunn.backend.contract import Array
from gpunn.backend.cuda.convolution_kernels.tensor_core import (
    TENSOR_CORE_BACKWARD_DATA,
    TENSOR_CORE_BACKWARD_FILTER,
    TENSOR_CORE_FORWARD,
)
from gpunn.backend.cuda.convolution_kernels.variants import (
    BackwardDataCall,
    BackwardFilterCall,
    Call,
    ForwardCall,
    Problem,
    Variant,
)
from gpunn.backend.cuda.device import CudaDevice
from gpunn.geometry import Conv2dGeometry
from gpunn.precision import Multiplied
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32, Host, integers, unwritten, upload, workspace

DTYPES = {"bfloat16": BFLOAT16, "float16": FLOAT16, "tf32": FLOAT32}


class Runner:
    """Runs the variants of one tile on one device."""

    def __init__(self, device: CudaDevice, multiplied: str, word: str) -> None:
        assert multiplied in get_args(Multiplied)
        self.device = device
        self.multiplied: Any = multiplied
        self.dtype = DTYPES[multiplied]
        self._word = word

    def problem(self, geometry: Conv2dGeometry) -> Problem:
        return Problem(geometry, self.dtype, Arithmetic(self.multiplied), capability=80)

    def pick(self, variants: tuple[Variant[Call], ...]) -> Variant[Call]:
        return next(variant for variant in variants if self._word in variant.name)

    def serves(self, geometry: Conv2dGeometry) -> bool:
        return self.pick(TENSOR_CORE_FORWARD).serves(self.problem(geometry))

    def forward(
        self,
        geometry: Conv2dGeometry,
        x: Array,
        w: Host,
        bias: Host | None = None,
        apply_relu: bool = False,
        y: Array | None = None,
    ) -> Host:
        device, problem, variant = self.device, self.problem(geometry), self.pick(TENSOR_CORE_FORWARD)
        y = unwritten(device, geometry.output_shape, self.dtype) if y is None else y
        held = None if bias is None else upload(device, bias)
        scratch = workspace(device, variant.workspace(problem))
        variant.launch(device, ForwardCall(problem, y, x, upload(device, w), held, apply_relu, scratch))
        return device.download(y)

    def backward_data(
        self,
        geometry: Conv2dGeometry,
        gy: Array,
        w: Host,
        saved: Host | None = None,
        before: Host | None = None,
        gx: Array | None = None,
    ) -> Host:
        device, problem, variant = self.device, self.problem(geometry), self.pick(TENSOR_CORE_BACKWARD_DATA)
        if gx is None:
            gx = unwritten(device, geometry.input_shape, self.dtype) if before is None else upload(device, before)
        held = None if saved is None else upload(device, saved)
        scratch = workspace(device, variant.workspace(problem))
        call = BackwardDataCall(problem, gx, gy, upload(device, w), held, before is not None, scratch)
        variant.launch(device, call)
        return device.download(gx)

    def backward_filter(
        self, geometry: Conv2dGeometry, x: Array, gy: Array, before: tuple[Host, Host] | None = None
    ) -> tuple[Host, Host]:
        device, problem, variant = self.device, self.problem(geometry), self.pick(TENSOR_CORE_BACKWARD_FILTER)
        if before is None:
            gw, gbias = (unwritten(device, shape, FLOAT32) for shape in (geometry.filter_shape, (geometry.K,)))
        else:
            gw, gbias = (upload(device, host) for host in before)
        scratch = workspace(device, variant.workspace(problem))
        variant.launch(device, BackwardFilterCall(problem, gw, gbias, x, gy, before is not None, scratch))
        return device.download(gw), device.download(gbias)


def integer_arrays(geometry: Conv2dGeometry, dtype: Any) -> tuple[Host, Host, Host]:
    """x, w and gy."""
    shapes = geometry.input_shape, geometry.filter_shape, geometry.output_shape
    x, w, gy = (integers(seed, shape, dtype) for seed, shape in enumerate(shapes))
    return x, w, gy


def shapes_of(geometry: Conv2dGeometry) -> tuple[tuple[int, ...], ...]:
    """Of x, w and gy."""
    return geometry.input_shape, geometry.filter_shape, geometry.output_shape
