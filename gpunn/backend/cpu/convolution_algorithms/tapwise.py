"""Backward-data tap by tap: each gradient pixel is multiplied by the filters of a tap and added where that tap read.

It multiplies each number of gy once a tap, where gathering (direct.py) multiplies one for each pixel of gx,
padding included; so it is the better one where gx has far fewer channels, or far more pixels, than gy. A thread owns
whole rows of gx, and adds the taps in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall
from gpunn.backend.cpu.convolution_algorithms.cutting import SMALL_PRODUCTS, cut_rows
from gpunn.backend.cpu.convolution_algorithms.gather import by_group
from gpunn.backend.cpu.convolution_algorithms.plan import read_input
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter, Share, workspace_bytes
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry

Array = np.ndarray[Any, Any]


def backward_data_cost(geometry: Conv2dGeometry) -> float:
    """Of multiplying each number of gy once a tap, packing the filters for each piece, and adding the products."""
    pixels, taps = geometry.N * geometry.P * geometry.Q, geometry.R * geometry.S
    adding = taps * pixels * geometry.C * costs.ADDED
    columns = geometry.C // geometry.groups
    depth = geometry.K // geometry.groups
    pieces = len(_spans(geometry, costs.SHARES))
    packed = pieces * taps * depth * geometry.C
    packing = costs.PACKED_ACROSS * packed + costs.far(packed, taps * depth * geometry.C)
    multiplying = costs.product(pixels, depth, columns, taps * geometry.groups)
    return 3 * costs.CALL * pieces * taps + (adding + packing + multiplying) * max(1, costs.SHARES / pieces)


def backward_data(device: CpuDevice, call: BackwardDataCall) -> None:
    """convolution2d_backward_data of the contract."""
    geometry = call.geometry
    reading = read_input(geometry)
    gradient, result = memory_order(call.gy), memory_order(call.gx)
    spans = _spans(geometry, device.threads)
    shares = Cutter(call.workspace, call.gx.dtype).take_shares(_share(device, geometry), device.threads)
    filters = call.w.reshape(geometry.R, geometry.S, -1, geometry.groups, geometry.K // geometry.groups)
    filters = filters.transpose(0, 1, 3, 4, 2)

    def work(index: int) -> None:
        first, stop = spans[index]
        _, _, product = shares[index % device.threads]
        if not call.accumulate:
            result[first:stop].fill(0)
        for r in range(geometry.R):
            p, rows = reading.rows.reaching(r, first, stop)
            read = gradient[p]
            if read.size == 0:
                continue
            matrices = by_group(read.reshape(-1, geometry.K), geometry.groups)
            staged = product[: read.size // geometry.K * geometry.C].reshape(*read.shape[:3], geometry.C)
            out = by_group(staged.reshape(-1, geometry.C), geometry.groups)
            for s in range(geometry.S):
                q, columns = reading.columns.reaching(s, 0, geometry.W)
                np.matmul(matrices, filters[r, s], out=out)
                part = result[rows, columns]
                np.add(part, staged[:, q], out=part)

    device.parallel(work, range(len(spans)))


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    return workspace_bytes(_share(device, geometry), device.threads, [], dtype.itemsize)


def backward_data_flops(geometry: Conv2dGeometry) -> int:
    """What is multiplied and added: of a tap that reaches beyond an edge of the image, only the rows within."""
    rows = read_input(geometry).rows
    reached = [rows.reaching(r, 0, geometry.H)[0] for r in range(geometry.R)]
    rows_multiplied: int = sum(p.stop - (p.start or 0) for p in reached)
    return 2 * geometry.N * rows_multiplied * geometry.Q * geometry.S * geometry.K * geometry.C // geometry.groups


def _spans(geometry: Conv2dGeometry, threads: int) -> list[tuple[int, int]]:
    """Rows of gx: those of a small image are shared too where much is multiplied."""
    spans = cut_rows(geometry.H, geometry.W * geometry.N * geometry.C, threads)
    if len(spans) < threads and geometry.flops > SMALL_PRODUCTS:
        return split(geometry.H, min(geometry.H, threads))
    return spans


def _share(device: CpuDevice, geometry: Conv2dGeometry) -> Share:
    """The products of one tap, for the rows of the output that reach one thread's rows of gx."""
    rows = read_input(geometry).rows
    spans = _spans(geometry, device.threads)
    outputs = [rows.reaching(r, first, stop)[0] for first, stop in spans for r in range(geometry.R)]
    return Share(0, 0, max(p.stop - (p.start or 0) for p in outputs) * geometry.Q * geometry.N * geometry.C)
