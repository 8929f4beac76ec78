"""Backward-filter by tiles: the transposes of the three transforms, with a sum over tiles in the middle.

The gradient of y = A^T [(G g G^T) * (B^T d B)] A with respect to g, summed over all tiles, is
G^T [sum of (B^T d B) * (A gy A^T)] G. As in convolving.py, a thread has bands of its own where the filters are small,
and all threads share a band where they are large. Sums are added up in an order that does not depend on timing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from gpunn.arena import ALIGNMENT, align
from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardFilterCall
from gpunn.backend.cpu.convolution_algorithms.plan import PLANS, read_input
from gpunn.backend.cpu.convolution_algorithms.winograd.convolving import FILTER_PIECE, spans_of, tiles_of
from gpunn.backend.cpu.convolution_algorithms.winograd.passes import gather_size, gather_tiles, pixels_of
from gpunn.backend.cpu.convolution_algorithms.winograd.plan import Band, TilePlan, plan_tiles
from gpunn.backend.cpu.convolution_algorithms.winograd.task import PLANES, planes_of
from gpunn.backend.cpu.convolution_algorithms.winograd.transforms import Transforms, transforms
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry, Shape

Array = np.ndarray[Any, Any]


def backward_filter(device: CpuDevice, call: BackwardFilterCall, m: int) -> None:
    """convolution2d_backward_filter of the contract, in tiles of m x m outputs."""
    task = filter_task(call.geometry, m, call.gw.dtype, device.threads)
    scratch = _Scratch(task, Cutter(call.workspace, call.gw.dtype), device.threads)
    image, gradients = memory_order(call.x), memory_order(call.gy)
    with device.settings:
        scratch.ones.fill(1)
        if task.plan.together:
            _sum_together(device, task, scratch, image, gradients)
        else:
            _sum_alone(device, task, scratch, image, gradients)
        _bring_back(device, task, scratch, call.gw, call.accumulate)
        if call.gbias is not None:
            _add(call.gbias, scratch.biases, call.accumulate)


def backward_filter_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, m: int) -> int:
    """Bytes of scratch."""
    task = filter_task(geometry, m, dtype, device.threads)
    return dtype.itemsize * sum(align(prod(shape), ALIGNMENT) for shape in task.shapes(device.threads))


@dataclass(frozen=True, eq=False)
class FilterTask:
    """What is summed.

    Attributes:
        plan: the tiles.
        maps: the matrices.
        C, K: channels of input and output.
        slots: bands that are added up one after another, each slot by one thread; one slot where threads share bands.
    """

    plan: TilePlan
    maps: Transforms
    C: int
    K: int
    slots: tuple[tuple[Band, ...], ...]

    @property
    def planes(self) -> int:
        """How many matrices there are."""
        return self.maps.size**2

    @property
    def constant(self) -> int:
        """The matrix whose entries for gy are the sums of its tiles: that of the point 1 in both directions."""
        return self.maps.one * self.maps.size + self.maps.one

    def of_all(self) -> list[Shape]:
        """Shapes of sums, bias sums, ones; and of the matrices of a shared band."""
        tiles = self.plan.most_tiles if self.plan.together else 0
        slots, most = len(self.slots), max(self.plan.most_tiles, 1)
        return [
            (slots, self.planes, self.C, self.K),
            (slots, self.K),
            (most,),
            (self.planes, tiles, self.C),
            (self.planes, tiles, self.K),
        ]

    def of_thread(self) -> list[Shape]:
        """Shapes of a thread's half-way results, matrices of its own, and product."""
        pieces, together = self.plan.pieces, self.plan.together
        inputs, outputs = self.maps.inputs, self.maps.outputs.T
        halves = [gather_size(inputs, self.plan.inputs, piece, self.C) for piece in pieces]
        halves += [gather_size(outputs, self.plan.outputs, piece, self.K) for piece in pieces]
        tiles = 0 if together else max(piece.tiles for piece in pieces)
        product = (PLANES if together else self.planes) * self.C * self.K
        return [
            (max(halves),),
            (self.planes * tiles * self.C,),
            (self.planes * tiles * self.K,),
            (max(product, FILTER_PIECE * self.maps.taps**2) + self.K,),
        ]

    def shapes(self, threads: int) -> list[Shape]:
        """All of them, in the order in which they are cut from the workspace."""
        return [*self.of_all(), *(self.of_thread() * threads)]


class _Scratch:
    """The workspace, cut up."""

    def __init__(self, task: FilterTask, cutter: Cutter, threads: int) -> None:
        self.sums, self.biases, self.ones, self.inputs, self.outputs = (cutter.take(*shape) for shape in task.of_all())
        self.threads = [[cutter.take(*shape) for shape in task.of_thread()] for _ in range(threads)]


@lru_cache(PLANS)
def filter_task(geometry: Conv2dGeometry, m: int, dtype: DType, threads: int) -> FilterTask:
    """What backward-filter comes to."""
    plan = plan_tiles(read_input(geometry), geometry.K, m, dtype.itemsize, threads)
    if plan.together:
        slots: tuple[tuple[Band, ...], ...] = (plan.pieces,)
    else:
        spans = split(len(plan.bands), min(threads, len(plan.bands)))
        slots = tuple(plan.pieces[first:stop] for first, stop in spans)
    return FilterTask(plan, transforms(m, geometry.R, dtype), geometry.C, geometry.K, slots)


def _gather(
    task: FilterTask, piece: Band, image: Array, gradients: Array, half: Array, inputs: Array, outputs: Array
) -> None:
    """Both sides of the product: (planes, tiles, C) and (planes, tiles, K)."""
    plan, maps = task.plan, task.maps
    pixels = pixels_of(image, plan.inputs, piece)
    gather_tiles(maps.inputs, plan.inputs, piece, pixels, half, tiles_of(inputs, maps.size, piece))
    pixels = pixels_of(gradients, plan.outputs, piece)
    gather_tiles(maps.outputs.T, plan.outputs, piece, pixels, half, tiles_of(outputs, maps.size, piece))


def _sum_alone(device: CpuDevice, task: FilterTask, scratch: _Scratch, image: Array, gradients: Array) -> None:
    """Each slot's bands one after another."""

    def work(slot: int) -> None:
        half, first, second, product = scratch.threads[slot % device.threads]
        for place, piece in enumerate(task.slots[slot]):
            inputs = first[: task.planes * piece.tiles * task.C].reshape(task.planes, piece.tiles, task.C)
            outputs = second[: task.planes * piece.tiles * task.K].reshape(task.planes, piece.tiles, task.K)
            filters, biases = scratch.sums[slot], scratch.biases[slot]
            if place > 0:
                filters, biases = product[: filters.size].reshape(filters.shape), product[-task.K :]
            _gather(task, piece, image, gradients, half, inputs, outputs)
            np.matmul(inputs.transpose(0, 2, 1), outputs, out=filters)
            np.matmul(scratch.ones[: piece.tiles], outputs[task.constant], out=biases)
            if place > 0:
                np.add(scratch.sums[slot], filters, out=scratch.sums[slot])
                np.add(scratch.biases[slot], biases, out=scratch.biases[slot])

    device.parallel(work, range(len(task.slots)))


def _sum_together(device: CpuDevice, task: FilterTask, scratch: _Scratch, image: Array, gradients: Array) -> None:
    """All bands one after another, and each thread some of the matrices."""
    for place, band in enumerate(task.plan.bands):
        _gather_band(device, task, scratch, band, image, gradients)
        _multiply_band(device, task, scratch, sum(piece.tiles for piece in band), place > 0)


def _gather_band(
    device: CpuDevice, task: FilterTask, scratch: _Scratch, band: tuple[Band, ...], image: Array, gradients: Array
) -> None:
    spans = spans_of(band)

    def work(index: int) -> None:
        half, span = scratch.threads[index % device.threads][0], spans[index]
        _gather(task, band[index], image, gradients, half, scratch.inputs[:, span], scratch.outputs[:, span])

    device.parallel(work, range(len(band)))


def _multiply_band(device: CpuDevice, task: FilterTask, scratch: _Scratch, tiles: int, accumulate: bool) -> None:
    """The products of the first so many tiles, written to the sums or added to them."""
    inputs, outputs = scratch.inputs[:, :tiles], scratch.outputs[:, :tiles]

    def work(thread: int) -> None:
        for planes in planes_of(thread, device.threads, task.planes):
            part = scratch.sums[0][planes]
            product = scratch.threads[thread][3][: part.size].reshape(part.shape)
            np.matmul(inputs[planes].transpose(0, 2, 1), outputs[planes], out=product if accumulate else part)
            if accumulate:
                np.add(part, product, out=part)

    device.parallel(work, range(device.threads))
    biases = scratch.threads[0][3][-task.K :] if accumulate else scratch.biases[0]
    np.matmul(scratch.ones[:tiles], outputs[task.constant], out=biases)
    if accumulate:
        np.add(scratch.biases[0], biases, out=scratch.biases[0])


def _bring_back(device: CpuDevice, task: FilterTask, scratch: _Scratch, gw: Array, accumulate: bool) -> None:
    """gw = the transposed filter transform of the sum of all slots, or gw += it."""
    first, *others = scratch.sums.reshape(len(scratch.sums), task.planes, -1)
    result = gw.reshape(task.maps.taps**2, -1)
    spans = split(result.shape[1], -(-result.shape[1] // FILTER_PIECE))

    def work(index: int) -> None:
        start, stop = spans[index]
        part = result[:, start:stop]
        for other in others:
            np.add(first[:, start:stop], other[:, start:stop], out=first[:, start:stop])
        if accumulate:
            product = scratch.threads[index % device.threads][3][: part.size].reshape(part.shape)
            np.matmul(task.maps.filters.T, first[:, start:stop], out=product)
            np.add(part, product, out=part)
        else:
            np.matmul(task.maps.filters.T, first[:, start:stop], out=part)

    device.parallel(work, range(len(spans)))


def _add(gbias: Array, sums: Array, accumulate: bool) -> None:
    """gbias = the sum of all slots, in order, or gbias += it."""
    for other in sums[1:]:
        np.add(sums[0], other, out=sums[0])
    if accumulate:
        np.add(gbias, sums[0], out=gbias)
    else:
        np.copyto(gbias, sums[0])
