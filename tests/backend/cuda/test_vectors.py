"""How a kernel walks over several arrays: which of them it may read 16 bytes at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.contract import Array, Device
from gpunn.backend.cuda.shared.vectors import walk_over
from gpunn.errors import UsageError
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32


@pytest.fixture(scope="module")
def device() -> Any:
    opened = backend.open("emulator")
    yield opened
    opened.close()


def array(device: Device, *shape: int, dtype: np.dtype[Any] = FLOAT32) -> Array:
    return device.view(device.allocate(device.size_of(shape, dtype, "images")), 0, shape, dtype, "images")


@pytest.mark.parametrize(("dtype", "vector"), [(FLOAT32, 4), (BFLOAT16, 8), (FLOAT16, 8)], ids=str)
def test_dense_arrays_are_one_row_of_16_bytes_each(device: Any, dtype: np.dtype[Any], vector: int) -> None:
    walk = walk_over(device, "copy", y=array(device, 2, 3, 4, dtype=dtype), x=array(device, 2, 3, 4, dtype=dtype))
    assert walk.arguments == {"rows": 1, "channels": 24, "y_pitch": 24, "x_pitch": 24}
    assert (walk.vector, walk.vectors, walk.choices) == (vector, 24 // vector, {"WIDE": "1"})


def test_the_wider_type_decides(device: Any) -> None:
    assert walk_over(device, "copy", y=array(device, 16, dtype=BFLOAT16), x=array(device, 16)).vector == 4


@pytest.mark.parametrize(
    ("channels", "start", "vector"),
    [(8, 4, 4), (8, 3, 1), (6, 4, 1)],
    ids=["aligned", "starts between", "ends between"],
)
def test_a_slice_of_channels_is_rows(device: Any, channels: int, start: int, vector: int) -> None:
    wide = array(device, 2, 3, 16)
    x = wide[..., start : start + channels]
    walk = walk_over(device, "copy", y=array(device, 2, 3, channels), x=x)
    assert walk.arguments == {"rows": 6, "channels": channels, "y_pitch": channels, "x_pitch": 16}
    assert (walk.vector, walk.vectors) == (vector, 6 * channels // vector)


def test_a_pitch_that_is_no_multiple_of_16_bytes_forbids_vectors(device: Any) -> None:
    walk = walk_over(device, "copy", y=array(device, 2, 3, 8), x=array(device, 2, 3, 9)[..., :8])
    assert (walk.vector, walk.choices) == (1, {"WIDE": "0"})


def test_other_orders_and_shapes_are_refused(device: Any) -> None:
    with pytest.raises(UsageError, match=r"scale: x of shape \(3, 2\) has strides"):
        walk_over(device, "scale", y=array(device, 3, 2), x=array(device, 2, 3).T)
    with pytest.raises(UsageError, match=r"scale: the arrays must have one shape, got y \(2,\), x \(3,\)"):
        walk_over(device, "scale", y=array(device, 2), x=array(device, 3))
