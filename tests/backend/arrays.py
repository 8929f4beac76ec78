"""Arrays for the tests of primitives: values on the host, and arrays of a device made from them."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from gpunn.backend.contract import Array, Device, Layout, Memory
from gpunn.geometry import Shape

Host = np.ndarray[Any, Any]

FLOAT32, FLOAT64, FLOAT16 = (np.dtype(name) for name in ("float32", "float64", "float16"))
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
#: Every number type that some device computes in.
FLOATS = (FLOAT32, FLOAT64, BFLOAT16, FLOAT16)


def summed(dtype: Any) -> np.dtype[Any]:
    """The type of parameters, their gradients and statistics beside activations of `dtype`."""
    return FLOAT32 if np.dtype(dtype) in (BFLOAT16, FLOAT16) else np.dtype(dtype)


def integers(seed: int, shape: Shape, dtype: Any) -> Host:
    """Integers from -3 to 3: every precision holds the sums of their products exactly."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


def reals(seed: int, shape: Shape, dtype: Any) -> Host:
    """Normally distributed numbers, rounded to the type."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def upload(device: Device, host: Host, layout: Layout = "images") -> Array:
    """A new array of the device with the values of `host`."""
    memory = device.allocate(device.size_of(host.shape, host.dtype, layout))
    array = device.view(memory, 0, host.shape, host.dtype, layout)
    device.upload(array, host)
    return array


def upload_slice(device: Device, host: Host, before: int = 3, after: int = 2) -> Array:
    """As upload, but the channels are a slice of a wider array of NaN, as in a concatenation."""
    sides = [(0, 0)] * (host.ndim - 1) + [(before, after)]
    wide = upload(device, np.pad(host, sides, constant_values=np.nan))
    return wide[..., before : before + host.shape[-1]]


def unwritten(device: Device, shape: Shape, dtype: Any, layout: Layout = "images") -> Array:
    """A new array full of NaN (integers: of their largest value), so that what is never written is noticed."""
    kind = np.dtype(dtype)
    return upload(device, np.full(shape, np.nan if kind in FLOATS else np.iinfo(kind).max, kind), layout)


def workspace(device: Device, size: int) -> Memory:
    """Scratch memory full of NaN bytes."""
    memory = device.allocate(size)
    device.upload(memory, np.full(size, 0xFF, np.uint8))
    return memory
