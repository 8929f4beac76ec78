"""Convolution with filters of one tap, of fewer pixels than channels: threads share channels instead of pixels.

Each packs its own part of the filters only, which here outweigh the images, and the filters' gradient is written by
part, where pixels that are shared leave sums of its whole size to be added up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, BackwardFilterCall, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.cutting import SMALL_PRODUCTS
from gpunn.backend.cpu.convolution_algorithms.gather import as_rows
from gpunn.backend.cpu.convolution_algorithms.pointwise import as_matrix, clear, copying_cost, read_pixels
from gpunn.backend.cpu.convolution_algorithms.pointwise import serves as serves_pointwise
from gpunn.backend.cpu.convolution_algorithms.shifted import LEAST_COLUMNS
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter, Share, workspace_bytes
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry, Shape

Array = np.ndarray[Any, Any]


def serves(geometry: Conv2dGeometry) -> bool:
    """Whether every output pixel reads all channels of one pixel."""
    return serves_pointwise(geometry) and geometry.groups == 1


def forward(device: CpuDevice, call: ForwardCall) -> None:
    """convolution2d_forward of the contract."""
    geometry = call.geometry
    spans = _spans(geometry, geometry.K, device.threads)
    read = as_matrix(read_pixels(call.x, geometry), Cutter(call.workspace, call.x.dtype).take(*_read_shape(geometry)))
    result, filters = _rows(call.y), call.w.reshape(-1, geometry.K)

    def work(index: int) -> None:
        part = slice(*spans[index])
        written = result[:, part]
        np.matmul(read, filters[:, part], out=written)
        finish(device, written, None if call.bias is None else call.bias[part], call.activation)

    device.parallel(work, range(len(spans)))


def forward_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: a copy of the pixels that are read, where others lie between them."""
    return workspace_bytes(Share(0, 0, 0), device.threads, [_read_shape(geometry)], dtype.itemsize)


def backward_data(device: CpuDevice, call: BackwardDataCall) -> None:
    """convolution2d_backward_data of the contract; pixels that nothing reads get no gradient."""
    geometry = call.geometry
    spans = _spans(geometry, geometry.C, device.threads)
    shares = Cutter(call.workspace, call.gx.dtype).take_shares(_data_share(geometry, spans), device.threads)
    gradient, result = _rows(call.gy), read_pixels(call.gx, geometry)
    filters = call.w.reshape(-1, geometry.K)
    if not call.accumulate and geometry.input_shape[1:3] != geometry.output_shape[1:3]:
        clear(device, memory_order(call.gx))
    rows = None if call.accumulate else as_rows(result)

    def work(index: int) -> None:
        part = slice(*spans[index])
        if rows is not None:
            np.matmul(gradient, filters[part].T, out=rows[:, part])
            return
        written = result[..., part]
        product = shares[index % device.threads][2][: written.size].reshape(written.shape)
        np.matmul(gradient, filters[part].T, out=product.reshape(-1, written.shape[-1]))
        if call.accumulate:
            np.add(written, product, out=written)
        else:
            np.copyto(written, product)

    device.parallel(work, range(len(spans)))


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    share = _data_share(geometry, _spans(geometry, geometry.C, device.threads))
    return workspace_bytes(share, device.threads, [], dtype.itemsize)


def backward_filter(device: CpuDevice, call: BackwardFilterCall) -> None:
    """convolution2d_backward_filter of the contract: each thread has the gradients of some channels."""
    geometry = call.geometry
    spans = _spans(geometry, geometry.C, device.threads)
    cutter = Cutter(call.workspace, call.gw.dtype)
    shares = cutter.take_shares(_filter_share(geometry, spans), device.threads)
    copy, ones, biases = (cutter.take(*shape) for shape in _filter_shapes(geometry))
    read, gradient = as_matrix(read_pixels(call.x, geometry), copy), _rows(call.gy)
    filters = call.gw.reshape(-1, geometry.K)

    def work(index: int) -> None:
        part = slice(*spans[index])
        if not call.accumulate:
            np.matmul(read[:, part].T, gradient, out=filters[part])
            return
        product = shares[index % device.threads][2][: filters[part].size].reshape(filters[part].shape)
        np.matmul(read[:, part].T, gradient, out=product)
        np.add(filters[part], product, out=filters[part])

    device.parallel(work, range(len(spans)))
    if call.gbias is not None:
        ones.fill(1)
        with device.settings:
            np.matmul(ones, gradient, out=biases if call.accumulate else call.gbias)
            if call.accumulate:
                np.add(call.gbias, biases, out=call.gbias)


def backward_filter_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    share = _filter_share(geometry, _spans(geometry, geometry.C, device.threads))
    return workspace_bytes(share, device.threads, _filter_shapes(geometry), dtype.itemsize)


def forward_cost(geometry: Conv2dGeometry) -> float:
    """Of copying where there is a stride, and of multiplying."""
    return copying_cost(geometry) + _product_cost(geometry, geometry.C, geometry.K, costs.PACKED)


def backward_data_cost(geometry: Conv2dGeometry) -> float:
    """Of multiplying by filters that lie the other way, and of what writing only some pixels takes."""
    return copying_cost(geometry) + _product_cost(geometry, geometry.K, geometry.C, costs.PACKED_ACROSS)


def backward_filter_cost(geometry: Conv2dGeometry) -> float:
    """Of copying where there is a stride, and of multiplying: each thread packs every gradient."""
    pixels = _pixels(geometry)
    packing = (costs.SHARES - 1) * costs.PACKED * pixels * geometry.K
    multiplying = packing + costs.summed_product(geometry.C, pixels, geometry.K)
    return copying_cost(geometry) + multiplying * _idle(geometry, geometry.C)


def _product_cost(geometry: Conv2dGeometry, read: int, written: int, packing: float) -> float:
    """Each thread packs every pixel, and its part of the filters once."""
    pixels, filters = _pixels(geometry), read * written
    multiplying = costs.product(pixels, read, written) + (costs.SHARES - 1) * costs.PACKED * pixels * read
    multiplying += (packing - costs.PACKED) * filters + costs.far(filters, filters)
    return multiplying * _idle(geometry, written)


def _idle(geometry: Conv2dGeometry, channels: int) -> float:
    """How much longer it takes because of threads that get no channels."""
    return costs.SHARES / len(_spans(geometry, channels, costs.SHARES))


def _pixels(geometry: Conv2dGeometry) -> int:
    return geometry.N * geometry.P * geometry.Q


def _spans(geometry: Conv2dGeometry, channels: int, threads: int) -> list[tuple[int, int]]:
    pieces = threads if geometry.flops > SMALL_PRODUCTS else 1
    return split(channels, max(1, min(pieces, channels // LEAST_COLUMNS)))


def _rows(image: Array) -> Array:
    """A whole image as a matrix (pixels * N, channels)."""
    rows = as_rows(memory_order(image))
    assert rows is not None
    return rows


def _read_shape(geometry: Conv2dGeometry) -> Shape:
    return (_pixels(geometry), geometry.C)


def _data_share(geometry: Conv2dGeometry, spans: list[tuple[int, int]]) -> Share:
    return Share(0, 0, _pixels(geometry) * max(stop - first for first, stop in spans))


def _filter_share(geometry: Conv2dGeometry, spans: list[tuple[int, int]]) -> Share:
    return Share(0, 0, geometry.K * max(stop - first for first, stop in spans))


def _filter_shapes(geometry: Conv2dGeometry) -> list[Shape]:
    """Shapes of a copy of the pixels that are read, of ones that add up columns, and of the bias's gradient."""
    return [_read_shape(geometry), (_pixels(geometry),), (geometry.K,)]
