"""What is installed for CUDA: CuPy, its driver, and the compiler. Every way to lack one has words of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import Any

from gpunn.backend.cuda.compiling.compile import (
    CompiledKernels,
    compile_kernels,
    compiler_architectures,
    compiler_version,
)
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.errors import DeviceError

#: The oldest GPUs that kernels are written for: compute capability 7.5.
OLDEST_CAPABILITY = 75
#: cudaErrorInsufficientDriver and cudaErrorNoDevice.
_INSUFFICIENT_DRIVER = 35
_NO_DEVICE = 100

_INSTALL = 'pip install "gpunn[cuda13]", or "gpunn[cuda12]" for a driver of CUDA 12'


def installed_cupy_packages() -> list[str]:
    """Names of the packages that bring the module cupy."""
    names = {(found.metadata["Name"] or "").lower().replace("_", "-") for found in distributions()}
    return sorted(name for name in names if name == "cupy" or name.startswith(("cupy-cuda", "cupy-rocm")))


@dataclass(frozen=True)
class Compute:
    """One GPU's compute capability, and the architecture that kernels are compiled for on it."""

    capability: int
    architecture: str


@dataclass(frozen=True)
class Installation:
    """Where to ask; tests answer themselves.

    Attributes:
        packages: names of the installed CuPy packages.
        load: imports CuPy.
        compiler: NVRTC's version, such as (13, 0).
        architectures: compute capabilities that NVRTC compiles for.
        compile: makes machine code for an architecture.
    """

    packages: Callable[[], Sequence[str]] = installed_cupy_packages
    load: Callable[[], Any] = lambda: importlib.import_module("cupy")
    compiler: Callable[[], tuple[int, int]] = compiler_version
    architectures: Callable[[], Sequence[int]] = compiler_architectures
    compile: Callable[[KernelSource, str], CompiledKernels] = compile_kernels

    def cupy(self, device: str) -> Any:
        """The module.

        Raises:
            DeviceError: when it is not there, there twice, or does not load.
        """
        packages = self.packages()
        if not packages:
            raise DeviceError(
                f"{device}: CuPy, which runs kernels on a GPU, is not installed; {_INSTALL}; without a GPU "
                "use --device cpu or --device emulator"
            )
        if len(packages) > 1:
            listed = " ".join(packages)
            raise DeviceError(
                f"{device}: {len(packages)} CuPy packages are installed at once ({', '.join(packages)}) and overwrite "
                f"each other; pip uninstall {listed}, then {_INSTALL}"
            )
        try:
            return self.load()
        except Exception as error:
            reason = next((line.strip(" =") for line in reversed(str(error).splitlines()) if line.strip(" =")), "")
            raise DeviceError(
                f"{device}: the package {packages[0]} does not load ({type(error).__name__}: {reason}); "
                f"pip uninstall {packages[0]}, then {_INSTALL}"
            ) from None

    def require_gpu(self, device: str, number: int, cupy: Any) -> None:
        """Check the driver, and that there is a GPU of that number.

        Raises:
            DeviceError: when there is no driver, an old one, or no such GPU.
        """
        runtime = cupy.cuda.runtime
        driver = _call(device, runtime, runtime.driverGetVersion)
        if driver == 0:
            raise DeviceError(
                f"{device}: no NVIDIA driver is installed; install it from nvidia.com/drivers (in a container: start "
                "it with --gpus all), or use --device cpu"
            )
        try:
            count = runtime.getDeviceCount()
        except runtime.CUDARuntimeError as error:
            if error.status == _INSUFFICIENT_DRIVER:
                raise DeviceError(_old_driver(device, driver, "CuPy", runtime.runtimeGetVersion())) from None
            if error.status != _NO_DEVICE:
                raise DeviceError(f"{device}: CUDA cannot start ({error}); see what nvidia-smi says") from None
            count = 0
        if count == 0:
            raise DeviceError(
                f"{device}: the NVIDIA driver finds no GPU; see what nvidia-smi and CUDA_VISIBLE_DEVICES say, or use "
                "--device cpu"
            )
        if number >= count:
            there = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            raise DeviceError(f"{device}: there is no GPU of that number; there is {there}")
        major, minor = self.compiler()
        if major > driver // 1000:
            raise DeviceError(_old_driver(device, driver, "the compiler NVRTC", 1000 * major + 10 * minor))

    def compute(self, device: str, capability: int) -> Compute:
        """What kernels are compiled for: the GPU's own architecture, or where NVRTC is older than the GPU, the latest
        one before it of the same generation, whose machine code it runs too.

        Raises:
            DeviceError: when the GPU is too old for the kernels, or too new for NVRTC.
        """
        if capability < OLDEST_CAPABILITY:
            raise DeviceError(
                f"{device} has compute capability {capability / 10}; the kernels need {OLDEST_CAPABILITY / 10} or "
                "later (Turing, 2018): use another GPU or --device cpu"
            )
        same = [known for known in self.architectures() if known // 10 == capability // 10 and known <= capability]
        if not same:
            major, minor = self.compiler()
            raise DeviceError(
                f"{device} has compute capability {capability / 10}, which NVRTC {major}.{minor} does not compile for; "
                "pip install --upgrade nvidia-cuda-nvrtc cuda-bindings"
            )
        return Compute(capability, str(max(same)))


def _call(device: str, runtime: Any, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except runtime.CUDARuntimeError as error:
        raise DeviceError(f"{device}: CUDA cannot start ({error}); see what nvidia-smi says") from None


def _old_driver(device: str, driver: int, what: str, version: int) -> str:
    return (
        f"{device}: the NVIDIA driver is too old: it knows CUDA {_dotted(driver)}, and {what} is of CUDA "
        f"{_dotted(version)}; update the driver, or install the packages of its CUDA with "
        f'pip install "gpunn[cuda{max(12, driver // 1000)}]"'
    )


def _dotted(version: int) -> str:
    """CUDA's 12040 as 12.4."""
    return f"{version // 1000}.{version % 1000 // 10}"
