"""A training step on the CPU of this machine: its algorithms, and the floor that a product and a copy imply."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpunn.backend.attributes import LINEAR, Arithmetic
from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import tapwise
from gpunn.backend.cpu.device import CpuDevice
from gpunn.cores import processor_name
from gpunn.explaining.explanation import Explanation, StepMemory, rows_of
from gpunn.explaining.hardware import Ceiling
from gpunn.explaining.step import Subject, explain_call, plan_step
from gpunn.geometry import Conv2dGeometry, LinearGeometry
from gpunn.program.call import Call
from gpunn.program.state import state_bytes
from gpunn.program.tables import tables_of
from gpunn.program.update import plan_update
from gpunn.training.devices import check_precision

#: Rows and columns of the matrices of the measured product.
_PRODUCT_SIZE = 2048
#: Bytes of the array that is copied: no cache holds it.
_COPY_BYTES = 256 * 2**20
_REPEATS = 5


def explain_on_cpu(subject: Subject, device: CpuDevice) -> Explanation:
    """A training step as it would run here; its ceilings are measured now, which takes about a second.

    Raises:
        DeviceError: when the CPU does not compute the precision.
    """
    number_types = check_precision(subject.precision, device)
    network = subject.network()
    plan = plan_step(subject, network, device, subject.batch)
    optimizer = subject.optimizer()
    update = plan_update(tables_of(network, optimizer.weight_decay), number_types, subject.update())
    product, copy = measure_product(device, number_types.accumulated), measure_copy(device)
    calls = [replace(explain_call(call, product, copy), algorithm=algorithm(call)) for call in (*plan.calls, *update)]
    state = state_bytes(network, device, number_types, optimizer)
    return Explanation(
        model=subject.model.name,
        batch=subject.batch,
        precision=subject.precision,
        device=device.name,
        name=f"{processor_name()} ({device.threads} threads)",
        product=product,
        copy=copy,
        rows=rows_of(calls),
        memory=StepMemory(plan.memory.total, state, None),
    )


def algorithm(call: Call) -> str:
    """How the CPU computes a call."""
    geometry = call.settings.get("geometry")
    if isinstance(geometry, LinearGeometry):
        return "matrix product"
    if not isinstance(geometry, Conv2dGeometry) or not call.primitive.startswith("convolution2d"):
        return "NumPy"
    by_taps = call.primitive == "convolution2d_backward_data" and tapwise.suits(geometry)
    return "tap by tap" if by_taps else "gathered patches"


def measure_product(device: CpuDevice, dtype: DType) -> Ceiling:
    """Operations a second of a large matrix product by NumPy's BLAS, cut over the device's threads."""
    size = _PRODUCT_SIZE
    x, w, y = np.ones((size, size), dtype), np.ones((size, size), dtype), np.empty((size, size), dtype)
    geometry = LinearGeometry(size, size, size)
    arithmetic = Arithmetic("float64" if dtype == np.float64 else "float32")
    workspace = np.empty(device.primitives.linear_forward_workspace(device, geometry, dtype, arithmetic), np.uint8)
    seconds = _fastest(
        lambda: device.primitives.linear_forward(device, y, x, w, None, geometry, LINEAR, arithmetic, workspace)
    )
    return Ceiling(2 * size**3 / seconds, "NumPy's BLAS, measured now")


def measure_copy(device: CpuDevice) -> Ceiling:
    """Bytes a second, read and written, of a large copy by the device's threads."""
    x = np.ones(_COPY_BYTES // 4, np.float32)
    y = np.ones_like(x)
    seconds = _fastest(lambda: device.primitives.copy(device, y, x, False))
    return Ceiling(2 * _COPY_BYTES / seconds, "measured now")


def _fastest(run: Callable[[], None]) -> float:
    """Seconds; a ceiling is what was reached once."""
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return min(times)
