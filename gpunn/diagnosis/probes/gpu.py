"""A GPU at work: opened as training opens it, a kernel compiled and run, and every primitive of tensor cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpunn.backend.contract import Device
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.opening import open_cuda
from gpunn.backend.cuda.self_test import primitive_failures

#: The oldest GPUs that the kernels for tensor cores are compiled for.
TENSOR_CORES = 80
ELEMENTS = 1000


def answer(number: str = "0", open_device: Callable[[int], CudaDevice] = open_cuda) -> dict[str, Any]:
    """{"failures": texts} of the kernels that were run, and the bytes of memory that are free once the GPU is open.

    Raises:
        DeviceError: the GPU cannot be used.
    """
    device = open_device(int(number))
    try:
        failures = _addition_failures(device)
        if device.capability >= TENSOR_CORES:
            failures += primitive_failures(device)
        return {"failures": failures, "free": device.free_memory()}
    finally:
        device.close()


def _addition_failures(device: Device) -> list[str]:
    """Whole numbers, which no order of addition rounds."""
    x = np.arange(ELEMENTS, dtype=np.float32)
    memory = [device.allocate(device.size_of(x.shape, x.dtype, "plain")) for _ in range(2)]
    total, addend = (device.view(each, 0, x.shape, x.dtype, "plain") for each in memory)
    device.upload(addend, x)
    device.primitives.add(device, total, [addend, addend])
    wrong = int((device.download(total) != x + x).sum())
    return [f"add: {wrong} of {ELEMENTS} elements are wrong"] if wrong else []
