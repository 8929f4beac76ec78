"""Kernels over the flat arena with fewer blocks than there is work: every block takes several turns."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.cuda.chunk_table import THREAD_ELEMENTS, chunk_table
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import STRIDING_BLOCK, Grid
from tests.backend.arrays import Host, reals, upload
from tests.cases.optimizer import MEDIUM

#: MEDIUM has 49 chunks, and a block takes 16 at a time.
BLOCKS = (1, 2, 3, 5)


def grid(blocks: int) -> Grid:
    return Grid((blocks, 1, 1), (STRIDING_BLOCK, 1, 1))


def descend(device: CudaDevice, blocks: int) -> Host:
    table = chunk_table(MEDIUM)
    w, v = (upload(device, reals(seed, (MEDIUM.size,), np.float32)) for seed in (1, 2))
    device.launcher.launch(
        "sgd.cu",
        "sgd",
        grid(blocks),
        {
            "parameters": w,
            "rounded": None,
            "velocity": v,
            "gradients": upload(device, reals(3, (MEDIUM.size,), np.float32)),
            "learning_rate": upload(device, np.array([0.1])),
            "gradient_scale": upload(device, np.array([0.5])),
            "step": upload(device, np.array([3])),
            "apply": upload(device, np.array([1], np.int32)),
            "chunk_number": table.chunk_number,
            "learning_rate_factor": table.learning_rate_factor,
            "decay": table.decay,
            "chunks": table.chunks,
            "momentum": 0.9,
            "style": 0,
            "bias_correction": 0,
        },
        {"ROUNDED": "float"},
    )
    return device.download(w)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_the_number_of_blocks_changes_no_bit_of_a_step(every_way: CudaDevice, blocks: int) -> None:
    start = reals(1, (MEDIUM.size,), np.float32)
    found = descend(every_way, blocks)
    np.testing.assert_array_equal(found, descend(every_way, 4))
    inside = np.zeros(MEDIUM.size, bool)
    for segment in MEDIUM:
        inside[segment.offset : segment.stop] = True
    assert (found[inside] != start[inside]).all()


@pytest.mark.parametrize("blocks", BLOCKS)
def test_sums_of_several_turns(every_way: CudaDevice, blocks: int) -> None:
    table = chunk_table(MEDIUM)
    numbers = reals(4, (MEDIUM.size,), np.float32)
    gradients, partials = upload(every_way, numbers), upload(every_way, np.full(blocks, np.nan))
    every_way.launcher.launch(
        "clip_global_norm.cu",
        "sum_squares",
        grid(blocks),
        {"partials": partials, "gradients": gradients, "chunk_number": table.chunk_number, "chunks": table.chunks},
    )
    norm, scale = (upload(every_way, np.array([np.nan])) for _ in range(2))
    every_way.launcher.launch(
        "clip_global_norm.cu",
        "finish_norm",
        grid(1),
        {"norm": norm, "gradient_scale": scale, "partials": partials, "count": blocks, "maximum": 1.0},
    )
    assert every_way.download(norm)[0] == pytest.approx(np.sqrt(np.sum(numbers.astype(np.float64) ** 2)), rel=1e-13)


def test_more_partial_sums_than_threads(check: CudaDevice) -> None:
    partials = upload(check, np.arange(1000.0))
    norm, scale = (upload(check, np.array([np.nan])) for _ in range(2))
    check.launcher.launch(
        "clip_global_norm.cu",
        "finish_norm",
        grid(1),
        {"norm": norm, "gradient_scale": scale, "partials": partials, "count": 1000, "maximum": 1.0},
    )
    assert check.download(norm)[0] == np.sqrt(1000 * 999 / 2)


@pytest.mark.parametrize("bad", [None, 5, 2000])
def test_flags_of_several_turns(check: CudaDevice, bad: int | None) -> None:
    numbers = np.ones(64 * 40, np.float32)
    if bad is not None:
        numbers[bad] = np.inf
    gradients, flags = upload(check, numbers), upload(check, np.full(2, 7, np.int32))
    check.launcher.launch(
        "loss_scale.cu",
        "unscale_gradients",
        grid(2),
        {
            "gradients": gradients,
            "block_is_finite": flags,
            "loss_multiplier": upload(check, np.array([4.0])),
            "apply": upload(check, np.array([1], np.int32)),
            "elements": numbers.size,
        },
    )
    np.testing.assert_array_equal(check.download(gradients), numbers / 4)
    turn = STRIDING_BLOCK * THREAD_ELEMENTS
    assert check.download(flags).tolist() == [int(bad is None or bad // turn % 2 != block) for block in range(2)]
