"""NVRTC, which compiles kernels: for the GPU that is there, and for any without one."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.areas.driver import dotted
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.installing import install
from gpunn.diagnosis.running import ProbeError
from gpunn.diagnosis.situation import OLDEST_CUDA, Situation

_PACKAGES = ("cuda-bindings", "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")


def examine(situation: Situation) -> Iterator[Finding]:
    """Found, of a CUDA that the driver knows, and compiling."""
    if not situation.uses_gpus:
        return
    capabilities = sorted({str(gpu.capability) for gpu in situation.driver.gpus})
    try:
        found = situation.machine.ask("compiler", *capabilities)
    except ProbeError as error:
        yield _not_working(situation, str(error))
        return
    version = f"NVRTC {found['version'][0]}.{found['version'][1]}"
    driver = situation.driver.version
    if OLDEST_CUDA <= driver // 1000 < found["version"][0]:
        text = f"{version} makes kernels that the driver does not load: it knows CUDA {dotted(driver)}"
        yield Finding("compiler", situation.severity, text, _extra(situation))
        return
    refused = [entry["refused"] for entry in found["architectures"].values() if "refused" in entry]
    for text in refused:
        yield Finding("compiler", situation.severity, text, _for_refused(situation, text))
    if not refused:
        text = f"{version} compiled {found['kernel']} for sm_{found['architecture']}"
        yield Finding("compiler", "ok", text)


def _not_working(situation: Situation, why: str) -> Finding:
    there = {name: found.version for name in _PACKAGES if (found := situation.machine.package(name)) is not None}
    if not there and not situation.has_working_gpu and not situation.is_cuda_asked_for:
        remedy = install(situation.machine, "gpunn[kernels]")
        return Finding("compiler", "ok", f"NVRTC is not installed; without a GPU only gpunn kernels needs it: {remedy}")
    if len(there) < 2:
        return Finding("compiler", situation.severity, why, _extra(situation))
    again = [f"{name}=={version}" for name, version in there.items()]
    remedy = install(situation.machine, *again, options=("--force-reinstall", "--no-deps"))
    return Finding("compiler", "problem", why, remedy)


def _extra(situation: Situation) -> str:
    extra = situation.extra if situation.has_any_gpu or situation.is_cuda_asked_for else "kernels"
    return install(situation.machine, f"gpunn[{extra}]")


def _for_refused(situation: Situation, text: str) -> str:
    if "NVRTC" in text:
        return install(situation.machine, "nvidia-cuda-nvrtc", "cuda-bindings", options=("--upgrade",))
    return "gpunn train --device cpu"
