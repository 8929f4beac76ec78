"""How the parts of the CUDA backend become a device on a real GPU."""

from __future__ import annotations

import re
from typing import Any, cast

import gpunn
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.compiling.compile_cache import CompileCache, Compiler
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.event_clock import EventClock
from gpunn.backend.cuda.gpu.cupy_executor import CupyExecutor
from gpunn.backend.cuda.gpu.cupy_memory import CupyMemory
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.gpu.installation import Installation
from gpunn.backend.cuda.gpu.library_product import CublasProduct
from gpunn.backend.cuda.graph import StreamRecorder
from gpunn.backend.cuda.traits import Traits
from gpunn.backend.cuda.tune import Tuner, TuningFile, event_stopwatch
from gpunn.cache import CacheFiles, cache_folder


def open_cuda(number: int = 0, installation: Installation | None = None) -> CudaDevice:
    """A handle of a GPU.

    Args:
        number: of the GPU, as CUDA counts them.
        installation: what is installed; tests give their own.

    Raises:
        DeviceError: when CuPy, the driver, the compiler or the GPU is missing, or one does not go with another.
    """
    from gpunn.backend import cuda

    installed = installation or Installation()
    device = f"device 'cuda:{number}'"
    cupy = installed.cupy(device)
    installed.require_gpu(device, number, cupy)
    gpu = Gpu(cupy, number)
    with gpu.at_work("asking for its properties"):
        compute = installed.compute(device, int(cupy.cuda.Device(number).compute_capability))
        model = _text(cupy.cuda.runtime.getDeviceProperties(number)["name"])
    compiler = Compiler("NVRTC {}.{}".format(*installed.compiler()), installed.compile)
    cache = CompileCache(CacheFiles(cache_folder("cubins")), compiler)
    executor = CupyExecutor(gpu, compute.capability, compute.architecture, cache)
    architecture = f"sm_{compute.architecture}"
    recorder = StreamRecorder(gpu)
    tuner = Tuner(architecture, event_stopwatch(gpu, recorder), _tuning_file(model, architecture))
    traits = Traits(compute.capability, recorder, tuner, model, EventClock(gpu), CublasProduct(gpu))
    return CudaDevice(gpu.name, CupyMemory(gpu), executor, cast("Primitives", cuda), traits=traits)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _tuning_file(model: str, architecture: str) -> TuningFile:
    """One file for each model of GPU and version of the kernels."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", model).strip("-")
    return TuningFile(CacheFiles(cache_folder("tuning")), f"{name}-{architecture}-gpunn-{gpunn.__version__}.json")
