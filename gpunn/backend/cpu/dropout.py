"""Dropout with masks that depend on nothing but the seed, the layer, the step and the place in the whole batch."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpunn.backend.attributes import Dropout
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import PIECE, for_each_piece, piece_spans
from gpunn.random import Stream

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_DRAWN, _BITS, _KEPT = 110, 111, 112

#: NumPy calls that go over all numbers once the mask is drawn.
_PASSES = 3

#: A block of the generator is four 64-bit words, each two 32-bit numbers.
_NUMBERS_PER_BLOCK = 8


def dropout_forward(
    device: CpuDevice, y: Host, mask: Host, x: Host, step: Host, first_image: Host, settings: Dropout
) -> None:
    """y = kept_factor * x where kept, else 0; `mask` (uint8) is 1 where kept; y may be x."""
    _draw_mask(device, mask, int(step[0]), int(first_image[0]), settings)
    for_each_piece(device, lambda y, x, mask: _keep(device, y, x, mask, settings), y, x, mask, passes=_PASSES)


def dropout_backward(device: CpuDevice, gx: Host, gy: Host, mask: Host, settings: Dropout, accumulate: bool) -> None:
    """gx = kept_factor * gy where kept, else 0; gx may be gy."""

    def work(gx: Host, gy: Host, mask: Host) -> None:
        if accumulate:
            kept = device.scratch(_KEPT, gx.shape, gx.dtype)
            _keep(device, kept, gy, mask, settings)
            np.add(gx, kept, out=gx)
        else:
            _keep(device, gx, gy, mask, settings)

    for_each_piece(device, work, gx, gy, mask, passes=_PASSES + accumulate)


def _keep(device: CpuDevice, y: Host, x: Host, mask: Host, settings: Dropout) -> None:
    """Bits choose what is kept: a product with 0 would make NaN of an infinity."""
    bits = device.scratch(_BITS, x.shape, np.dtype(f"i{x.itemsize}"))
    np.negative(mask.view(np.int8), out=bits)
    np.bitwise_and(x.view(bits.dtype), bits, out=y.view(bits.dtype))
    if settings.kept_factor != 1:
        np.multiply(y, settings.kept_factor, out=y)


def _draw_mask(device: CpuDevice, mask: Host, step: int, first_image: int, settings: Dropout) -> None:
    """Fill the mask in pieces of whole images, or of whole rows of one image where an image is large."""
    image = prod(mask.shape[1:])
    inner = piece_spans(mask.shape[1], image)
    outer = piece_spans(mask.shape[0], mask.size) if image < PIECE else [slice(n, n + 1) for n in range(len(mask))]
    row = image // mask.shape[1]
    # NumPy's Generator.random gives the upper 24 bits of a 32-bit number, divided by 2^24.
    threshold = np.float32(settings.threshold / 2**24)

    def work(piece: int) -> None:
        images, rows = outer[piece // len(inner)], inner[piece % len(inner)]
        part = mask[images, rows]
        start = (first_image + images.start) * image + rows.start * row
        drawn = _random_numbers(device, start, part.size, step, settings).reshape(part.shape)
        np.greater_equal(drawn, threshold, out=part.view(np.bool_))

    device.parallel(work, range(len(outer) * len(inner)))


def _random_numbers(device: CpuDevice, start: int, count: int, step: int, settings: Dropout) -> Host:
    """Numbers `start` to `start + count` of a layer and step, in 0 to 1, float32."""
    block, skipped = divmod(start, _NUMBERS_PER_BLOCK)
    key = np.array([settings.seed, int(Stream.DROPOUT)], np.uint64)
    counter = np.array([block, step, settings.layer, 0], np.uint64)
    source = np.random.Generator(np.random.Philox(key=key, counter=counter))
    drawn = device.scratch(_DRAWN, (skipped + count,), np.float32)
    source.random(out=drawn, dtype=np.float32)
    return drawn[skipped:]
