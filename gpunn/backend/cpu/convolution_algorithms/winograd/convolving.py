"""Forward and backward-data by tiles: transform, multiply matrix by matrix, transform back.

Where the filters are small, a thread takes bands of tiles through all three steps while they are in its cache. Where
they are large, all threads transform one large band, share out its matrices, so that each transformed filter is made
and read once, and transform back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.backend.attributes import LINEAR, Activation
from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.winograd.passes import gather_tiles, pixels_of, scatter_tiles
from gpunn.backend.cpu.convolution_algorithms.winograd.plan import Band
from gpunn.backend.cpu.convolution_algorithms.winograd.task import Task, backward_data_task, forward_task, planes_of
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry

Array = np.ndarray[Any, Any]

#: Numbers of each transformed filter tap that a thread makes at a time.
FILTER_PIECE = 1 << 15


def forward(device: CpuDevice, call: ForwardCall, m: int) -> None:
    """convolution2d_forward of the contract, in tiles of m x m outputs."""
    task = forward_task(call.geometry, m, call.x.dtype, device.threads)
    epilogue = _Epilogue(call.bias, call.activation, False)
    _convolve(device, task, _Arrays(device, task, call.y, call.x, call.w, epilogue, call.workspace))


def forward_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, m: int) -> int:
    """Bytes of scratch."""
    return forward_task(geometry, m, dtype, device.threads).workspace_bytes(device.threads, dtype.itemsize)


def backward_data(device: CpuDevice, call: BackwardDataCall, m: int) -> None:
    """convolution2d_backward_data of the contract, in tiles of m x m pixels of gx."""
    task = backward_data_task(call.geometry, m, call.gx.dtype, device.threads)
    epilogue = _Epilogue(None, LINEAR, call.accumulate)
    _convolve(device, task, _Arrays(device, task, call.gx, call.gy, call.w, epilogue, call.workspace))


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, m: int) -> int:
    """Bytes of scratch."""
    return backward_data_task(geometry, m, dtype, device.threads).workspace_bytes(device.threads, dtype.itemsize)


@dataclass(frozen=True, eq=False)
class _Epilogue:
    """What is done to each tile of the result while it is in cache."""

    bias: Array | None
    activation: Activation
    accumulate: bool


class _Arrays:
    """A task's arrays, and its steps on one piece of them."""

    def __init__(
        self, device: CpuDevice, task: Task, result: Array, image: Array, w: Array, epilogue: _Epilogue, scratch: Array
    ) -> None:
        cutter = Cutter(scratch, image.dtype)
        self._device = device
        self._task = task
        self._result, self._image = memory_order(result), memory_order(image)
        self._taps = w.reshape(task.maps.taps**2, -1)
        self._filter_shape = w.shape[-2:]
        self._epilogue = epilogue
        self.of_all = [cutter.take(size) for size in task.of_all]
        self.of_threads = [[cutter.take(size) for size in task.of_thread] for _ in range(device.threads)]

    def gather(self, piece: Band, half: Array, out: Array) -> None:
        """The matrices of a piece, (planes, tiles, channels)."""
        task = self._task
        pixels = pixels_of(self._image, task.plan.inputs, piece)
        gather_tiles(task.maps.inputs, task.plan.inputs, piece, pixels, half, tiles_of(out, task.maps.size, piece))

    def filters(self, planes: slice, out: Array) -> Array:
        """Those matrices of the filters, (planes, read, written), in `out`."""
        matrix = self._task.filter_map[planes]
        taps = self._taps.shape[1]
        made = out[: len(matrix) * taps].reshape(len(matrix), taps)
        np.matmul(matrix, self._taps, out=made)
        return self._by_channels(made)

    def all_filters(self, out: Array) -> Array:
        """All matrices of the filters, made by all threads."""
        task, taps = self._task, self._taps
        made = out.reshape(task.planes, -1)
        spans = split(taps.shape[1], -(-taps.shape[1] // FILTER_PIECE))

        def work(index: int) -> None:
            first, stop = spans[index]
            np.matmul(task.filter_map, taps[:, first:stop], out=made[:, first:stop])

        self._device.parallel(work, range(len(spans)))
        return self._by_channels(made)

    def finish(self, piece: Band, products: Array, half: Array, added: Array) -> None:
        """The tiles of a piece, from its products, (planes, tiles, channels)."""
        task, epilogue = self._task, self._epilogue
        if epilogue.bias is not None:
            # What is added to the matrix of the point 1 in both directions is added to every pixel of a tile.
            constant = products[task.maps.one * task.maps.size + task.maps.one]
            np.add(constant, epilogue.bias, out=constant)
        pixels = pixels_of(self._result, task.plan.outputs, piece)
        written = added[: pixels.size].reshape(pixels.shape) if epilogue.accumulate else pixels
        tiles = tiles_of(products, task.maps.size, piece)
        scatter_tiles(task.maps.outputs, task.plan.outputs, piece, tiles, half, written)
        if epilogue.accumulate:
            np.add(pixels, written, out=pixels)
        finish(self._device, pixels, None, epilogue.activation)

    def _by_channels(self, made: Array) -> Array:
        filters = made.reshape(len(made), *self._filter_shape)
        return filters.transpose(0, 2, 1) if self._task.turned else filters


def _convolve(device: CpuDevice, task: Task, arrays: _Arrays) -> None:
    if task.plan.together:
        _convolve_together(device, task, arrays)
    else:
        _convolve_alone(device, task, arrays)


def _convolve_alone(device: CpuDevice, task: Task, arrays: _Arrays) -> None:
    """Every thread takes bands of its own through all steps."""
    filters = arrays.all_filters(arrays.of_all[0])

    def work(index: int) -> None:
        (piece,) = task.plan.bands[index]
        first, second, added = arrays.of_threads[index % device.threads]
        inputs = first[: task.planes * piece.tiles * task.read].reshape(task.planes, piece.tiles, task.read)
        products = second[: task.planes * piece.tiles * task.written].reshape(task.planes, piece.tiles, task.written)
        arrays.gather(piece, second, inputs)
        np.matmul(inputs, filters, out=products)
        arrays.finish(piece, products, first, added)

    device.parallel(work, range(len(task.plan.bands)))


def _convolve_together(device: CpuDevice, task: Task, arrays: _Arrays) -> None:
    """One band after another; in each step, every thread takes some of its pieces or matrices."""
    most = task.plan.most_tiles
    inputs = arrays.of_all[0].reshape(task.planes, most, task.read)
    products = arrays.of_all[1].reshape(task.planes, most, task.written)
    for band in task.plan.bands:
        _convolve_band(device, task, arrays, band, inputs, products)


def _convolve_band(
    device: CpuDevice, task: Task, arrays: _Arrays, band: tuple[Band, ...], inputs: Array, products: Array
) -> None:
    spans = spans_of(band)
    tiles = spans[-1].stop

    def gather(index: int) -> None:
        arrays.gather(band[index], arrays.of_threads[index % device.threads][0], inputs[:, spans[index]])

    def multiply(thread: int) -> None:
        for planes in planes_of(thread, device.threads, task.planes):
            filters = arrays.filters(planes, arrays.of_threads[thread][1])
            np.matmul(inputs[planes, :tiles], filters, out=products[planes, :tiles])

    def finish(index: int) -> None:
        half, _, added = arrays.of_threads[index % device.threads]
        arrays.finish(band[index], products[:, spans[index]], half, added)

    device.parallel(gather, range(len(band)))
    device.parallel(multiply, range(device.threads))
    device.parallel(finish, range(len(band)))


def spans_of(band: tuple[Band, ...]) -> list[slice]:
    """Where the tiles of each piece lie among those of all."""
    spans: list[slice] = []
    for piece in band:
        first = spans[-1].stop if spans else 0
        spans.append(slice(first, first + piece.tiles))
    return spans


def tiles_of(matrices: Array, size: int, piece: Band) -> Array:
    """(planes, tiles, channels) as (size, size, tiles down, tiles across, images, channels)."""
    return matrices.reshape(size, size, piece.rows, piece.columns, piece.images, matrices.shape[-1])
