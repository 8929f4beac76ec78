"""Runs checked launches on a GPU through CuPy."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from gpunn.backend.cuda.compiling.compile_cache import CompileCache
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.launching.arguments import BoundArgument
from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.errors import DeviceError

#: Dynamic shared memory that every block gets without asking (CUDA C++ Programming Guide, compute capabilities).
_UNASKED_SHARED = 48 * 1024


class CupyExecutor:
    """An executor of CudaDevice on a real GPU.

    Args:
        gpu: where to run.
        capability: its compute capability, such as 90.
        architecture: what kernels are compiled for, such as "90".
        cache: gives machine code.
    """

    def __init__(self, gpu: Gpu, capability: int, architecture: str, cache: CompileCache) -> None:
        self._gpu = gpu
        self._capability = capability
        self._architecture = architecture
        self._cache = cache
        self._modules: dict[KernelSource, Any] = {}
        self._functions: dict[tuple[KernelSource, str], _LoadedFunction] = {}

    def execute(self, launch: CheckedLaunch) -> None:
        """Put a kernel on the stream; an error of the kernel itself shows in a later call.

        Raises:
            DeviceError: when it cannot be compiled, loaded or started.
        """
        name = launch.signature.name
        with self._gpu.at_work(f"starting kernel {name}"):
            function = self._function(launch.source, name)
            function.allow_shared(launch.grid.dynamic_shared_bytes)
            function.handle(
                launch.grid.blocks,
                launch.grid.threads,
                tuple(_by_value(argument) for argument in launch.arguments),
                shared_mem=launch.grid.dynamic_shared_bytes,
                stream=self._gpu.stream,
            )

    def close(self) -> None:
        """Unload the kernels, once none of them runs any more; of a GPU that is lost there is nothing to unload."""
        with suppress(DeviceError), self._gpu.at_work("unloading kernels"):
            self._gpu.stream.synchronize()
            self._functions.clear()
            self._modules.clear()

    def _function(self, source: KernelSource, name: str) -> _LoadedFunction:
        key = (source, name)
        if key not in self._functions:
            self._functions[key] = _LoadedFunction(self._gpu, name, self._module(source).get_function(name))
        return self._functions[key]

    def _module(self, source: KernelSource) -> Any:
        if source not in self._modules:
            lowest = int(source.architectures[0])
            if self._capability < lowest:
                raise DeviceError(
                    f"{source.name} needs compute capability {lowest / 10} or later; {self._gpu.name} has "
                    f"{self._capability / 10}: use --precision float32"
                )
            module = self._gpu.cupy.cuda.function.Module()
            module.load(self._cache.cubin(source, self._architecture))
            self._modules[source] = module
        return self._modules[source]


class _LoadedFunction:
    """A kernel on the GPU, and how much dynamic shared memory its blocks may have."""

    def __init__(self, gpu: Gpu, name: str, handle: Any) -> None:
        self.handle = handle
        self._gpu = gpu
        self._name = name
        self._allowed = _UNASKED_SHARED

    def allow_shared(self, size: int) -> None:
        """Ask for as much as a launch wants."""
        if size <= self._allowed:
            return
        runtime, driver = self._gpu.cupy.cuda.runtime, self._gpu.cupy.cuda.driver
        most = runtime.deviceGetAttribute(runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, self._gpu.number)
        if size > most:
            raise DeviceError(
                f"kernel {self._name} wants {size} bytes of shared memory a block; {self._gpu.name} has {most}: "
                "use --precision float32"
            )
        driver.funcSetAttribute(self.handle.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, size)
        self._allowed = size


def _by_value(argument: BoundArgument) -> Any:
    """What CuPy puts into the kernel's parameters: an array's address, a null pointer, or the bytes of the value.

    CuPy passes a NumPy array of one element, a structure too, by value.
    """
    if argument.parameter.is_pointer:
        return argument.value
    return np.array(argument.value)
