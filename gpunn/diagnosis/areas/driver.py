"""NVIDIA's driver: is it there, does it start, does it know a CUDA that gpunn runs on, and which GPUs does it show?"""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.driver_commands import IN_A_CONTAINER, install_driver, with_the_gpu
from gpunn.diagnosis.driver_refusals import refusal
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.situation import OLDEST_CUDA, Situation

#: The driver that brought CUDA 12 (CUDA Toolkit Release Notes, table of driver versions).
OLDEST_DRIVER = "525.60.13"


def examine(situation: Situation) -> Iterator[Finding]:
    """One finding, unless the GPU does not matter."""
    if situation.uses_gpus:
        yield _examined(situation)


def _examined(situation: Situation) -> Finding:
    driver = situation.driver
    if driver.failure:
        text = f"NVIDIA's driver does not answer ({driver.failure})"
        return Finding("GPU", situation.severity, text, "nvidia-smi   # where it hangs too: sudo reboot")
    if driver.missing is not None:
        return _without_library(situation)
    if 0 < driver.version // 1000 < OLDEST_CUDA:
        text = (
            f"NVIDIA's driver is too old: it knows CUDA {dotted(driver.version)}, and gpunn needs CUDA {OLDEST_CUDA}, "
            f"which has driver {OLDEST_DRIVER} or later"
        )
        return Finding("GPU", situation.severity, text, install_driver(situation))
    if driver.status:
        return refusal(situation, driver.status)
    if not driver.gpus:
        return refusal(situation, 100)
    if situation.number >= len(driver.gpus):
        there = "cuda:0" if len(driver.gpus) == 1 else f"cuda:0 to cuda:{len(driver.gpus) - 1}"
        return Finding("GPU", "problem", f"no {situation.device}; there is {there}", "gpunn train --device cuda:0")
    listed = ", ".join(
        f"{gpu.name} with {gpu.memory / 2**30:.1f} GiB, compute capability {gpu.capability / 10}" for gpu in driver.gpus
    )
    return Finding("GPU", "ok", f"{listed}; driver of CUDA {dotted(driver.version)}")


def _without_library(situation: Situation) -> Finding:
    if situation.is_wsl and (situation.machine.root / "usr/lib/wsl/lib/libcuda.so.1").exists():
        text = "the driver's library lies in /usr/lib/wsl/lib, where the loader does not look"
        return Finding("GPU", situation.severity, text, "export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH")
    if situation.is_container and situation.has_any_gpu:
        return _in_container(situation)
    if situation.has_kernel_module:
        text = "the driver's kernel module is loaded, but its library libcuda.so.1 is not found"
        return Finding("GPU", situation.severity, text, install_driver(situation))
    if situation.cards:
        cards = "an NVIDIA GPU is" if situation.cards == 1 else f"{situation.cards} NVIDIA GPUs are"
        return Finding("GPU", situation.severity, f"{cards} in this machine, but no driver", install_driver(situation))
    can_start = situation.is_container and situation.has_docker
    if situation.is_cuda_asked_for:
        remedy = IN_A_CONTAINER if can_start else "gpunn train --device cpu"
        return Finding("GPU", "problem", "no NVIDIA GPU and no driver is to be seen here", remedy)
    hint = f"; if its host has one: {IN_A_CONTAINER}" if can_start else ""
    return Finding("GPU", "ok", f"none here: gpunn computes on the CPU{hint}")


def _in_container(situation: Situation) -> Finding:
    capabilities = situation.machine.environment.get("NVIDIA_DRIVER_CAPABILITIES", "")
    if (situation.machine.root / "dev/nvidiactl").exists():
        text = f"the container has the GPU, but not the driver's libraries (NVIDIA_DRIVER_CAPABILITIES={capabilities})"
        command = "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility gpunn:cuda"
        return Finding("GPU", situation.severity, text, command if situation.has_docker else None)
    text, remedy = with_the_gpu(situation, "the host has an NVIDIA GPU, but this container was started without it")
    return Finding("GPU", situation.severity, text, remedy)


def dotted(version: int) -> str:
    """CUDA's 12040 as 12.4."""
    return f"{version // 1000}.{version % 1000 // 10}"
