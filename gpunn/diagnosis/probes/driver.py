"""NVIDIA's driver as its library libcuda shows it, without CuPy (CUDA Driver API)."""

from __future__ import annotations

import ctypes
from typing import Any

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_NAME_BYTES = 256


def answer(library: str = "libcuda.so.1") -> dict[str, Any]:
    """{"missing": why} where the library does not load. Else the result of cuInit (0 is success), the CUDA version that
    the driver knows, such as 12040, and the GPUs: name, compute capability such as 90, bytes of memory, PCI address."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError as error:
        return {"missing": str(error)}
    version = ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    status = cuda.cuInit(0)
    gpus = _gpus(cuda) if status == 0 else []
    return {"status": status, "version": version.value, "gpus": gpus}


def _gpus(cuda: ctypes.CDLL) -> list[dict[str, Any]]:
    count = ctypes.c_int(0)
    cuda.cuDeviceGetCount(ctypes.byref(count))
    return [_gpu(cuda, number) for number in range(count.value)]


def _gpu(cuda: ctypes.CDLL, number: int) -> dict[str, Any]:
    device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    name, address = ctypes.create_string_buffer(_NAME_BYTES), ctypes.create_string_buffer(_NAME_BYTES)
    memory = ctypes.c_size_t(0)
    cuda.cuDeviceGet(ctypes.byref(device), number)
    cuda.cuDeviceGetName(name, _NAME_BYTES, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    cuda.cuDeviceGetPCIBusId(address, _NAME_BYTES, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return {
        "name": name.value.decode(errors="replace"),
        "capability": 10 * major.value + minor.value,
        "memory": memory.value,
        "address": address.value.decode(),
    }
