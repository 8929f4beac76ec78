"""Locally connected layers on the CPU: a matrix product of its own for each output pixel, in batches of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.cpu.convolution_algorithms.cutting import cut, cut_rows
from gpunn.backend.cpu.convolution_algorithms.gather import Block, Reading, gather, gather_by_tap
from gpunn.backend.cpu.convolution_algorithms.plan import read_input
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.geometry import Conv2dGeometry

Array = np.ndarray[Any, Any]

#: Images of fewer channels are read tap by tap: C would be a run too short to copy.
LEAST_CHANNELS_OF_A_RUN = 8

#: Scratch of this file.
_WINDOW, _PATCHES, _PRODUCT, _BIAS = 310, 311, 312, 313


def locally_connected2d_forward(
    device: CpuDevice, y: Array, x: Array, w: Array, bias: Array | None, geometry: Conv2dGeometry
) -> None:
    """As convolution2d_forward with w (P, Q, R, S, C, K) and bias (P, Q, K); one group."""
    reading = read_input(geometry, by_tap=geometry.C < LEAST_CHANNELS_OF_A_RUN)
    blocks = _blocks(device, reading, geometry, x.itemsize)
    image, result = memory_order(x), memory_order(y)

    def work(index: int) -> None:
        block = blocks[index]
        part = block.of(result)
        np.matmul(_read(device, reading, block, image), _matrices(w, block, reading), out=part)
        if bias is not None:
            np.add(part, block.of(bias)[:, :, None], out=part)

    device.parallel(work, range(len(blocks)))


def locally_connected2d_backward_data(
    device: CpuDevice, gx: Array, gy: Array, w: Array, geometry: Conv2dGeometry, accumulate: bool
) -> None:
    """gx = the transpose applied to gy. A thread owns whole rows of gx, and adds up the taps that reach them."""
    reading = read_input(geometry)
    gradient, result = memory_order(gy), memory_order(gx)
    spans = cut_rows(geometry.H, geometry.W * geometry.N * geometry.C, device.threads)

    def work(index: int) -> None:
        first, stop = spans[index]
        if not accumulate:
            result[first:stop].fill(0)
        for r in range(geometry.R):
            p, rows = reading.rows.reaching(r, first, stop)
            for s in range(geometry.S):
                q, columns = reading.columns.reaching(s, 0, geometry.W)
                target, read = result[rows, columns], gradient[p, q]
                if target.size == 0:
                    continue
                product = device.scratch(_PRODUCT, target.shape, target.dtype)
                np.matmul(read, w[p, q, r, s].swapaxes(-1, -2), out=product)
                np.add(target, product, out=target)

    device.parallel(work, range(len(spans)))


def locally_connected2d_backward_filter(
    device: CpuDevice, gw: Array, gbias: Array | None, x: Array, gy: Array, geometry: Conv2dGeometry, accumulate: bool
) -> None:
    """gw[p,q,r,s,c,k] = sum over n of the product of input and gy; gbias[p,q,k] = sum over n of gy."""
    reading = read_input(geometry, by_tap=geometry.C < LEAST_CHANNELS_OF_A_RUN)
    blocks = _blocks(device, reading, geometry, x.itemsize)
    image, gradients = memory_order(x), memory_order(gy)

    def work(index: int) -> None:
        block = blocks[index]
        gradient, weights = block.of(gradients), _matrices(gw, block, reading)
        product = device.scratch(_PRODUCT, weights.shape, weights.dtype) if accumulate else weights
        np.matmul(_read(device, reading, block, image).swapaxes(-1, -2), gradient, out=product)
        if accumulate:
            np.add(weights, product, out=weights)
        if gbias is not None:
            biases = block.of(gbias)
            sums = device.scratch(_BIAS, biases.shape, biases.dtype) if accumulate else biases
            np.add.reduce(gradient, axis=2, out=sums)
            if accumulate:
                np.add(biases, sums, out=biases)

    device.parallel(work, range(len(blocks)))


def _blocks(device: CpuDevice, reading: Reading, geometry: Conv2dGeometry, itemsize: int) -> tuple[Block, ...]:
    return cut(reading, reading.depth * geometry.K, itemsize, device.threads, least_matrix_rows=1)


def _read(device: CpuDevice, reading: Reading, block: Block, image: Array) -> Array:
    """What each pixel of a block reads: (rows, columns, N, R * S * C)."""
    window = device.scratch(_WINDOW, (reading.window_size(block),), image.dtype)
    patches = device.scratch(_PATCHES, (reading.patches_size(block),), image.dtype)
    if reading.by_tap:
        matrix: Array = gather_by_tap(reading, block, image, window, patches)[0, :-1].T
    else:
        matrix = gather(reading, block, image, window, patches)[0]
    return matrix.reshape(block.rows, block.columns, reading.N, reading.depth)


def _matrices(w: Array, block: Block, reading: Reading) -> Array:
    """The filters of each pixel of a block: (rows, columns, R * S * C, K)."""
    matrices: Array = block.of(w).reshape(block.rows, block.columns, reading.depth, -1)
    return matrices
