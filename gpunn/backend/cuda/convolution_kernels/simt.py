"""Convolution on ordinary cores: every type, every geometry, every architecture. See kernels/convolution2d_*.cu."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

from gpunn.backend.cuda.convolution_kernels.splits import (
    Splits,
    combine_forward,
    combine_gradient,
    plan_splits,
    reads_quads,
    sums_size,
    sums_view,
)
from gpunn.backend.cuda.convolution_kernels.variants import BackwardDataCall, BackwardFilterCall, ForwardCall, Problem
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.geometry_arguments import convolution2d_argument
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.geometry import Conv2dGeometry

#: As in kernels/tile_product.cuh.
_BLOCK = (256, 1, 1)
_SLICES = {128: 8, 64: 16}
#: Where tensor cores cannot round factors to tf32, ordinary cores multiply them as they are.
_MULTIPLIED = ("float32", "tf32", "bfloat16", "float16")
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
        return plan_splits(prod(self.tiles(tile)) * self.count, self.depth, _SLICES[tile])

    def multiplications(self, tile: int) -> int:
        """What the tiles execute, full or not."""
        return prod(self.tiles(tile)) * tile**2 * self.depth * self.count

    def cost(self, tile: int) -> float:
        """The same in units of the larger tile's time."""
        return self.multiplications(tile) / _RATES[tile]


@dataclass(frozen=True)
class _Simt:
    """What the three passes share.

    Attributes:
        tile: rows and columns of the result that a block computes.
    """

    tile: int

    @property
    def name(self) -> str:
        """Such as "simt 128"."""
        return f"simt {self.tile}"

    def serves(self, problem: Problem) -> bool:
        """Every type but float64."""
        return problem.arithmetic.multiplied in _MULTIPLIED

    def accepts(self, call: object) -> bool:
        """Any pitch and address."""
        return True


@dataclass(frozen=True)
class SimtForward(_Simt):
    """convolution2d_forward.cu with tiles of tile x tile."""

    def cost(self, problem: Problem) -> float:
        """What the tiles execute, full or not."""
        return _forward_product(problem.geometry).cost(self.tile)

    def flops(self, problem: Problem) -> int:
        """The same, two for each multiply-add."""
        return 2 * _forward_product(problem.geometry).multiplications(self.tile)

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


@dataclass(frozen=True)
class SimtBackwardData(_Simt):
    """convolution2d_backward_data.cu with tiles of tile x tile."""

    def cost(self, problem: Problem) -> float:
        """What the tiles execute, full or not."""
        return _backward_data_product(problem.geometry).cost(self.tile)

    def flops(self, problem: Problem) -> int:
        """The same, two for each multiply-add."""
        return 2 * _backward_data_product(problem.geometry).multiplications(self.tile)

    def workspace(self, problem: Problem) -> int:
        """The sums of the splits."""
        splits = _backward_data_product(problem.geometry).splits(self.tile)
        return sums_size(splits, prod(problem.geometry.input_shape))

    def launch(self, device: CudaDevice, call: BackwardDataCall) -> None:
        """Compute the tiles of every phase, and add up the splits."""
        g = call.problem.geometry
        product = _backward_data_product(g)
        splits = product.splits(self.tile)
        is_split = splits.count > 1
        sums = sums_view(device, call.workspace, splits, g.input_shape) if is_split else None
        pixel_tiles, channel_tiles = product.tiles(self.tile)
        results = (sums,) if is_split else (call.gx, call.saved)
        device.launcher.launch(
            "convolution2d_backward_data.cu",
            "convolution2d_backward_data",
            Grid((pixel_tiles, channel_tiles * _phases(g), g.groups * splits.count), _BLOCK),
            {
                "gx": None if is_split else call.gx,
                "gx_pitch": channel_pitch(call.gx),
                "sums": sums,
                "gy": call.gy,
                "gy_pitch": channel_pitch(call.gy),
                "w": call.w,
                "saved": None if is_split else call.saved,
                "saved_pitch": 0 if call.saved is None else channel_pitch(call.saved),
                "geometry": convolution2d_argument(g),
                "accumulate": call.accumulate,
                "splits": splits.count,
                "slices_per_split": splits.slices_each,
                "vector_depth": reads_quads(device, call.gy, g.groups) and reads_quads(device, call.w, g.groups),
                "vector_gx": all(reads_quads(device, array, g.groups) for array in results if array is not None),
            },
            {"TILE": str(self.tile)},
        )
        if sums is not None:
            combine_gradient(device, call.gx, sums, call.saved, call.accumulate)


def _phases(g: Conv2dGeometry) -> int:
    return min(g.stride.rows, g.H) * min(g.stride.columns, g.W)


def _backward_data_product(g: Conv2dGeometry) -> _Product:
    """Of the phase with the most pixels, with the most taps that one can have."""
    rows, columns = -(-g.H // g.stride.rows), -(-g.W // g.stride.columns)
    taps = prod(
        -(-window // (stride // gcd(stride, dilation)))
        for window, stride, dilation in zip((g.R, g.S), g.stride, g.dilation, strict=True)
    )
    return _Product(g.N * rows * columns, g.C // g.groups, taps * (g.K // g.groups), g.groups * _phases(g))


SIMT_BACKWARD_DATA = (SimtBackwardData(128), SimtBackwardData(64))


@dataclass(frozen=True)
class SimtBackwardFilter(_Simt):
    """convolution2d_backward_filter.cu with tiles of tile x tile."""

    def cost(self, problem: Problem) -> float:
        """What the tiles execute, full or not."""
        return _backward_filter_product(problem.geometry).cost(self.tile)

    def flops(self, problem: Problem) -> int:
        """The same, two for each multiply-add."""
        return 2 * _backward_filter_product(problem.geometry).multiplications(self.tile)

    def workspace(self, problem: Problem) -> int:
        """The sums of the splits, those of the filters first."""
        g = problem.geometry
        splits = _backward_filter_product(g).splits(self.tile)
        return sums_size(splits, prod(g.filter_shape)) + sums_size(splits, g.K)

    def launch(self, device: CudaDevice, call: BackwardFilterCall) -> None:
        """Compute the tiles, and add up the splits."""
        g = call.problem.geometry
        product = _backward_filter_product(g)
        splits = product.splits(self.tile)
        is_split = splits.count > 1
        sums = bias_sums = None
        if is_split:
            sums = sums_view(device, call.workspace, splits, g.filter_shape)
            if call.gbias is not None:
                bias_sums = sums_view(device, call.workspace, splits, (g.K,), sums.nbytes)
        device.launcher.launch(
            "convolution2d_backward_filter.cu",
            "convolution2d_backward_filter",
            Grid((*product.tiles(self.tile), g.groups * splits.count), _BLOCK),
            {
                "gw": None if is_split else call.gw,
                "gbias": None if is_split else call.gbias,
                "sums": sums,
                "bias_sums": bias_sums,
                "x": call.x,
                "x_pitch": channel_pitch(call.x),
                "gy": call.gy,
                "gy_pitch": channel_pitch(call.gy),
                "geometry": convolution2d_argument(g),
                "accumulate": call.accumulate and not is_split,
                "splits": splits.count,
                "slices_per_split": splits.slices_each,
                "vector_x": reads_quads(device, call.x, g.groups),
                "vector_gy": reads_quads(device, call.gy, g.groups),
                "vector_gw": reads_quads(device, call.gw if sums is None else sums, g.groups),
            },
            {"TILE": str(self.tile)},
        )
        if sums is not None:
            combine_gradient(device, call.gw, sums, None, call.accumulate)
        if bias_sums is not None:
            combine_gradient(device, call.gbias, bias_sums, None, call.accumulate)


def _backward_filter_product(g: Conv2dGeometry) -> _Product:
    return _Product(g.R * g.S * (g.C // g.groups), g.K // g.groups, g.N * g.P * g.Q, g.groups)


SIMT_BACKWARD_FILTER = (SimtBackwardFilter(128), SimtBackwardFilter(64))
