"""Kernels that stride over their items give the same results on a grid far too small for one item a thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.shared.vectors import walk_over
from tests.backend.arrays import integers, unwritten, upload, upload_slice
from tests.reference import image as reference

TWO_WARPS = Grid((2, 1, 1), (32, 1, 1))


@pytest.mark.parametrize(
    ("file", "kernel", "inputs", "settings", "expected"),
    [
        ("copy.cu", "copy", ("x",), {}, lambda x: x[0]),
        ("fill.cu", "fill", (), {"value": 2.5}, lambda x: np.full_like(x[0], 2.5)),
        ("scale.cu", "scale", ("x",), {"factor": 0.5, "accumulate": False}, lambda x: x[0] / 2),
        ("add.cu", "add", ("a", "b", "c", "d"), {}, lambda x: x[0] + x[1] + x[2] + x[3]),
    ],
    ids=["copy", "fill", "scale", "add"],
)
@pytest.mark.parametrize("channels", [8, 7], ids=["wide", "single"])
def test_elementwise(
    check: CudaDevice,
    file: str,
    kernel: str,
    inputs: tuple[str, ...],
    settings: dict[str, Any],
    expected: Any,
    channels: int,
) -> None:
    shape = (5, 6, 7, channels)
    xs = [integers(seed, shape, np.float32) for seed in range(4)]
    held = {name: upload_slice(check, x, 8, 8) for name, x in zip(inputs, xs, strict=False)}
    y = unwritten(check, shape, np.float32)
    walk = walk_over(check, kernel, y=y, **held)
    check.launcher.launch(file, kernel, TWO_WARPS, {"y": y, **held, **settings, **walk.arguments}, walk.choices)
    np.testing.assert_array_equal(check.download(y), expected(xs))


def test_rows_of_pictures(check: CudaDevice) -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 5, 17, 3)).astype(np.uint8)
    corners = np.array([(0, 0, 0), (-1, 2, 1), (1, -1, 0)], np.int32)
    mean, deviation = np.array([0.5, 0.25, 0.0]), np.array([0.5, 1.0, 0.25])
    y = unwritten(check, images.shape, np.float32)
    arguments = {
        "y": y,
        "y_pitch": 3,
        "images": upload(check, images),
        "placement": upload(check, corners, "plain"),
        "mean": upload(check, mean, "plain"),
        "deviation": upload(check, deviation, "plain"),
        "N": 3,
        "H": 5,
        "W": 17,
        "C": 3,
        "picture_rows": 5,
        "picture_columns": 17,
    }
    grid = Grid(TWO_WARPS.blocks, TWO_WARPS.threads, 2 * 4 * 3)
    check.launcher.launch("normalize_images.cu", "normalize_images", grid, arguments, {"WIDE": "0"})
    expected = reference.normalize(images, corners, (5, 17), mean, deviation)
    np.testing.assert_allclose(check.download(y), expected, rtol=1e-6, atol=1e-6)
