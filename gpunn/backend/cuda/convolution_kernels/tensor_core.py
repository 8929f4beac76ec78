"""Convolution on tensor cores, compute capability 8.0 and later. See kernels/convolution2d_*_tensor.cu."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from math import gcd, prod

from gpunn.backend.contract import Array, DType
from gpunn.backend.cuda.convolution_kernels.splits import (
    Splits,
    combine_forward,
    combine_gradient,
    sums_size,
    sums_view,
)
from gpunn.backend.cuda.convolution_kernels.variants import BackwardDataCall, BackwardFilterCall, ForwardCall, Problem
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.geometry_arguments import convolution2d_argument
from gpunn.backend.cuda.launching.launch import Grid

_OLDEST_CAPABILITY = 80
#: As in kernels/tensor_core_tile.cuh and kernels/tensor_core_loads.cuh.
_BLOCK = (128, 1, 1)
_STAGES = 3
_LINE_BYTES = 64
_CHUNK_BYTES = 16
_SMALL_PIECE = 4
#: Blocks that run at the same time: two on each of some 128 multiprocessors.
_SLOTS = 256
#: What else takes time, in stages: a block's start and end, the launch that adds split sums, and so many of their
#: floats to write and to read. A split has at least a few stages, or it would be all start and end.
_STAGES_OF_EDGES = 8
_STAGES_OF_A_LAUNCH = 8
_SUMS_A_STAGE = 250_000
_LEAST_STAGES = 4
#: Against the same tile on ordinary cores.
_RATES = {"bfloat16": 12.0, "float16": 12.0, "tf32": 6.0}
#: A rule of thumb for tiny problems: what they leave idle does not count further than this.
_LEAST_UTILIZATION = 0.25


@dataclass(frozen=True)
class Tile:
    """A word for TILE: rows x columns of the product, from operands in 16-byte chunks (aligned) or padded taps.

    Attributes:
        rate: against the largest tile's.
    """

    rows: int
    columns: int
    is_aligned: bool
    rate: float

    @property
    def word(self) -> str:
        """As the kernels call it."""
        return f"{'aligned' if self.is_aligned else 'padded'}_{self.rows}x{self.columns}"

    @property
    def shared_bytes(self) -> int:
        """Of a block."""
        return _STAGES * (self.rows + self.columns) * _LINE_BYTES

    def channels(self, count: int) -> int:
        """The depth or the rows that the channels of one tap take."""
        return count if self.is_aligned else -(-count // _SMALL_PIECE) * _SMALL_PIECE

    def divides(self, problem: Problem) -> bool:
        """Whether the channels and the filters of a group allow it."""
        g = problem.geometry
        chunk = _CHUNK_BYTES // problem.dtype.itemsize
        return not self.is_aligned or (g.C // g.groups % chunk == 0 and g.K // g.groups % chunk == 0)

    def fits(self, *arrays: Array) -> bool:
        """Whether the arrays' pitches allow it."""
        return not self.is_aligned or all(channel_pitch(a) * a.dtype.itemsize % _CHUNK_BYTES == 0 for a in arrays)

    def reaches(self, device: CudaDevice, *arrays: Array) -> bool:
        """Whether the arrays' addresses allow it."""
        return not self.is_aligned or all(device.memory.address(a) % _CHUNK_BYTES == 0 for a in arrays)


#: Few columns want the second, few tiles the third. With a warp's tile of 64 x 64 as in the first, shared memory keeps
#: up with tensor cores; with smaller ones it is the limit.
_ALIGNED = (Tile(128, 128, True, 1.0), Tile(128, 64, True, 0.8), Tile(64, 64, True, 0.6))
_PADDED = Tile(128, 64, False, 0.25)
_PADDED_FILTER = Tile(64, 64, False, 0.25)


@cache
def _plan_splits(tiles: int, stages: int, elements: int) -> Splits:
    """The number of splits that ends soonest, on every machine the same: whole waves of blocks, but few sums to add."""

    def stages_until_end(count: int) -> float:
        waves = -(-tiles * count // _SLOTS)
        sums = elements * count / _SUMS_A_STAGE + _STAGES_OF_A_LAUNCH if count > 1 else 0.0
        return waves * (-(-stages // count) + _STAGES_OF_EDGES) + sums

    count = min(range(1, max(1, min(_SLOTS, stages // _LEAST_STAGES)) + 1), key=stages_until_end)
    each = -(-stages // count)
    return Splits(-(-stages // each), each)


@dataclass(frozen=True)
class _Product:
    """A matrix product in tiles, for one of its `count` equal parts: groups, or groups and phases."""

    tile: Tile
    rows: int
    columns: int
    depth: int
    count: int
    dtype: DType

    @property
    def tiles(self) -> int:
        """Of one part."""
        return -(-self.rows // self.tile.rows) * -(-self.columns // self.tile.columns)

    @property
    def stages(self) -> int:
        """Pieces of the depth."""
        return max(1, -(-self.depth * self.dtype.itemsize // _LINE_BYTES))

    @property
    def splits(self) -> Splits:
        """How the depth is shared."""
        return _plan_splits(self.tiles * self.count, self.stages, self.rows * self.columns * self.count)

    @property
    def multiplications(self) -> int:
        """What the tiles execute, full or not."""
        return self.tiles * self.count * self.tile.rows * self.tile.columns * self.depth

    def cost(self, multiplied: str) -> float:
        """What the tiles execute, full or not, and the idle rest of the last wave; a unit as the other variants'."""
        blocks = self.tiles * self.count * self.splits.count
        utilization = max(_LEAST_UTILIZATION, blocks / (-(-blocks // _SLOTS) * _SLOTS))
        return self.multiplications / (utilization * self.tile.rate * _RATES[multiplied])

    def grid(self, groups: int) -> Grid:
        """Tiles, groups, and phases with splits."""
        blocks = (self.tiles, groups, self.count // groups * self.splits.count)
        return Grid(blocks, _BLOCK, self.tile.shared_bytes)


def _choices(tile: Tile, array: Array) -> dict[str, str]:
    names = {"float32": "float", "bfloat16": "bfloat16", "float16": "float16"}
    return {"TILE": tile.word, "STORED": names[array.dtype.name]}


@dataclass(frozen=True)
class _TensorCore(ABC):
    """What the three passes share.

    Attributes:
        tile: of the result, that a block computes.
    """

    tile: Tile

    @property
    def name(self) -> str:
        """Such as "tensor aligned_128x128"."""
        return f"tensor {self.tile.word}"

    def serves(self, problem: Problem) -> bool:
        """16-bit types and tf32."""
        known = problem.capability >= _OLDEST_CAPABILITY and problem.arithmetic.multiplied in _RATES
        return known and self.tile.divides(problem)

    def cost(self, problem: Problem) -> float:
        """By rule of thumb."""
        return self._product(problem).cost(problem.arithmetic.multiplied)

    def flops(self, problem: Problem) -> int:
        """What the tiles execute, full or not, two for each multiply-add."""
        return 2 * self._product(problem).multiplications

    @abstractmethod
    def _product(self, problem: Problem) -> _Product:
        """The product that the pass is."""


@dataclass(frozen=True)
class TensorCoreForward(_TensorCore):
    """convolution2d_forward_tensor.cu."""

    def accepts(self, call: ForwardCall) -> bool:
        """Pitches of whole chunks."""
        return self.tile.fits(call.x, call.w)

    def workspace(self, problem: Problem) -> int:
        """The sums of the splits."""
        return sums_size(self._product(problem).splits, prod(problem.geometry.output_shape))

    def launch(self, device: CudaDevice, call: ForwardCall) -> None:
        """Compute the tiles, and add up the splits."""
        if not self.tile.reaches(device, call.x, call.w):
            TensorCoreForward(_PADDED).launch(device, call)
            return
        g = call.problem.geometry
        product = self._product(call.problem)
        is_split = product.splits.count > 1
        target = sums_view(device, call.workspace, product.splits, g.output_shape) if is_split else call.y
        is_wide = is_split or call.y.dtype != call.x.dtype
        device.launcher.launch(
            "convolution2d_forward_tensor.cu",
            "convolution2d_forward_tensor",
            product.grid(g.groups),
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
            },
            _choices(self.tile, call.x),
        )
        if is_split:
            combine_forward(device, call.y, target, call.bias, call.apply_relu)

    def _product(self, problem: Problem) -> _Product:
        g = problem.geometry
        depth = g.R * g.S * self.tile.channels(g.C // g.groups)
        return _Product(self.tile, g.N * g.P * g.Q, g.K // g.groups, depth, g.groups, problem.dtype)


@dataclass(frozen=True)
class TensorCoreBackwardData(_TensorCore):
    """convolution2d_backward_data_tensor.cu."""

    def accepts(self, call: BackwardDataCall) -> bool:
        """Pitches of whole chunks."""
        return self.tile.fits(call.gy, call.w)

    def workspace(self, problem: Problem) -> int:
        """The sums of the splits."""
        return sums_size(self._product(problem).splits, prod(problem.geometry.input_shape))

    def launch(self, device: CudaDevice, call: BackwardDataCall) -> None:
        """Compute the tiles of every phase, and add up the splits."""
        if not self.tile.reaches(device, call.gy, call.w):
            TensorCoreBackwardData(_PADDED).launch(device, call)
            return
        g = call.problem.geometry
        product = self._product(call.problem)
        splits = product.splits
        sums = sums_view(device, call.workspace, splits, g.input_shape) if splits.count > 1 else None
        device.launcher.launch(
            "convolution2d_backward_data_tensor.cu",
            "convolution2d_backward_data_tensor",
            product.grid(g.groups),
            {
                "gx": call.gx if sums is None else None,
                "gx_pitch": channel_pitch(call.gx),
                "sums": sums,
                "gy": call.gy,
                "gy_pitch": channel_pitch(call.gy),
                "w": call.w,
                "saved": call.saved if sums is None else None,
                "saved_pitch": 0 if call.saved is None else channel_pitch(call.saved),
                "geometry": convolution2d_argument(g),
                "splits": splits.count,
                "accumulate": call.accumulate,
            },
            _choices(self.tile, call.gy),
        )
        if sums is not None:
            combine_gradient(device, call.gx, sums, call.saved, call.accumulate)

    def _product(self, problem: Problem) -> _Product:
        """Of the phase with the most pixels, with the most taps that one can have."""
        g = problem.geometry
        phases = min(g.stride.rows, g.H) * min(g.stride.columns, g.W)
        pixels = -(-g.H // g.stride.rows) * -(-g.W // g.stride.columns)
        taps = prod(
            -(-window // (stride // gcd(stride, dilation)))
            for window, stride, dilation in zip((g.R, g.S), g.stride, g.dilation, strict=True)
        )
        depth = taps * self.tile.channels(g.K // g.groups)
        return _Product(self.tile, g.N * pixels, g.C // g.groups, depth, g.groups * phases, problem.dtype)


@dataclass(frozen=True)
class TensorCoreBackwardFilter(_TensorCore):
    """convolution2d_backward_filter_tensor.cu."""

    def accepts(self, call: BackwardFilterCall) -> bool:
        """Pitches of whole chunks."""
        return self.tile.fits(call.x, call.gy)

    def workspace(self, problem: Problem) -> int:
        """The sums of the splits, those of the filters first."""
        g = problem.geometry
        splits = self._product(problem).splits
        return sums_size(splits, prod(g.filter_shape)) + sums_size(splits, g.K)

    def launch(self, device: CudaDevice, call: BackwardFilterCall) -> None:
        """Compute the tiles, and add up the splits."""
        if not self.tile.reaches(device, call.x, call.gy):
            TensorCoreBackwardFilter(_PADDED_FILTER).launch(device, call)
            return
        g = call.problem.geometry
        product = self._product(call.problem)
        splits = product.splits
        is_split = splits.count > 1
        gw, gbias = call.gw, call.gbias
        if is_split:
            gw = sums_view(device, call.workspace, splits, g.filter_shape)
            if gbias is not None:
                gbias = sums_view(device, call.workspace, splits, (g.K,), gw.nbytes)
        device.launcher.launch(
            "convolution2d_backward_filter_tensor.cu",
            "convolution2d_backward_filter_tensor",
            product.grid(g.groups),
            {
                "gw": gw,
                "gbias": gbias,
                "x": call.x,
                "x_pitch": channel_pitch(call.x),
                "gy": call.gy,
                "gy_pitch": channel_pitch(call.gy),
                "geometry": convolution2d_argument(g),
                "accumulate": call.accumulate and not is_split,
            },
            _choices(self.tile, call.x),
        )
        if is_split:
            combine_gradient(device, call.gw, gw, None, call.accumulate)
            if call.gbias is not None:
                combine_gradient(device, call.gbias, gbias, None, call.accumulate)

    def _product(self, problem: Problem) -> _Product:
        g = problem.geometry
        rows = g.R * g.S * self.tile.channels(g.C // g.groups)
        return _Product(self.tile, rows, g.K // g.groups, g.N * g.P * g.Q, g.groups, problem.dtype)


TENSOR_CORE_FORWARD = tuple(TensorCoreForward(tile) for tile in (*_ALIGNED, _PADDED))
TENSOR_CORE_BACKWARD_DATA = tuple(TensorCoreBackwardData(tile) for tile in (*_ALIGNED, _PADDED))
TENSOR_CORE_BACKWARD_FILTER = tuple(TensorCoreBackwardFilter(tile) for tile in (*_ALIGNED, _PADDED_FILTER))
