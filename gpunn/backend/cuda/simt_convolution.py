"""Convolution on ordinary cores: every type, every geometry, every architecture. See kernels/convolution2d_*.cu."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from gpunn.backend.cuda.arguments import channel_pitch
from gpunn.backend.cuda.convolution_splits import (
    Splits,
    combine_forward,
    plan_splits,
    reads_quads,
    sums_size,
    sums_view,
)
from gpunn.backend.cuda.convolution_variants import ForwardCall, Problem
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.geometry_arguments import convolution2d_argument
from gpunn.backend.cuda.launch import Grid
from gpunn.geometry import Conv2dGeometry

#: As in kernels/tile_product.cuh.
_BLOCK = (256, 1, 1)
_SLICE = 16
#: Tensor cores multiply what ordinary cores multiply as it is, and tf32, which ordinary cores do not.
_MULTIPLIED = ("float32", "bfloat16", "float16")
#: The rate of each tile against the larger one's: a thread of the smaller does half as many products a number read.
_RATES = {128: 1.0, 64: 0.6}


@dataclass(frozen=True)
class _Product:
    """The size of a matrix product, for one of its `count` equal parts: groups, or groups and phases."""

    rows: int
    columns: int
    depth: int
    count: int

    def tiles(self, tile: int) -> tuple[int, int]:
        """Along rows, and along columns."""
        return -(-self.rows // tile), -(-self.columns // tile)

    def splits(self, tile: int) -> Splits:
        """How the depth is shared."""
        return plan_splits(prod(self.tiles(tile)) * self.count, self.depth, _SLICE)

    def cost(self, tile: int) -> float:
        """What the tiles execute, full or not, in units of the larger tile's time."""
        return prod(self.tiles(tile)) * tile**2 * self.depth * self.count / _RATES[tile]


def _serves(problem: Problem) -> bool:
    return problem.arithmetic.multiplied in _MULTIPLIED


@dataclass(frozen=True)
class SimtForward:
    """convolution2d_forward.cu with tiles of tile x tile."""

    tile: int

    @property
    def name(self) -> str:
        """Such as "simt 128"."""
        return f"simt {self.tile}"

    def serves(self, problem: Problem) -> bool:
        """Everything but tf32."""
        return _serves(problem)

    def accepts(self, call: ForwardCall) -> bool:
        """Any pitch and address."""
        return True

    def cost(self, problem: Problem) -> float:
        """What the tiles execute, full or not."""
        return _forward_product(problem.geometry).cost(self.tile)

    def workspace(self, problem: Problem) -> int:
        """The sums of the splits."""
        splits = _forward_product(problem.geometry).splits(self.tile)
        return sums_size(splits, prod(problem.geometry.output_shape))

    def launch(self, device: CudaDevice, call: ForwardCall) -> None:
        """Compute the tiles, and add up the splits."""
        g = call.problem.geometry
        product = _forward_product(g)
        splits = product.splits(self.tile)
        is_split = splits.count > 1
        target = sums_view(device, call.workspace, splits, g.output_shape) if is_split else call.y
        is_wide = is_split or call.y.dtype != call.x.dtype
        device.launcher.launch(
            "convolution2d_forward.cu",
            "convolution2d_forward",
            Grid((*product.tiles(self.tile), g.groups * splits.count), _BLOCK),
            {
                "y": None if is_wide else target,
                "y_pitch": channel_pitch(target),
                "wide_y": target if is_wide else None,
                "wide_y_pitch": channel_pitch(target),
                "x": call.x,
                "x_pitch": channel_pitch(call.x),
                "w": call.w,
                "bias": None if is_split else call.bias,
                "geometry": convolution2d_argument(g),
                "apply_relu": call.apply_relu and not is_split,
                "splits": splits.count,
                "slices_per_split": splits.slices_each,
                "vector_x": reads_quads(device, call.x, g.groups),
                "vector_w": reads_quads(device, call.w, g.groups),
                "vector_y": reads_quads(device, target, g.groups),
            },
            {"TILE": str(self.tile)},
        )
        if is_split:
            combine_forward(device, call.y, target, call.bias, call.apply_relu)


def _forward_product(g: Conv2dGeometry) -> _Product:
    return _Product(g.N * g.P * g.Q, g.K // g.groups, g.R * g.S * (g.C // g.groups), g.groups)


SIMT_FORWARD = (SimtForward(128), SimtForward(64))
SIMT_BACKWARD_DATA: tuple[Any, ...] = ()
SIMT_BACKWARD_FILTER: tuple[Any, ...] = ()
