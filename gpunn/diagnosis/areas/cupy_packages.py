"""CuPy, which runs kernels on a GPU: none, one, several or a broken one; and whether the driver knows its CUDA."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.areas.driver import dotted
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.installing import install, uninstall
from gpunn.diagnosis.situation import OLDEST_CUDA, Situation


def examine(situation: Situation) -> Iterator[Finding]:
    """One finding, or none where the GPU does not matter."""
    cupy = situation.cupy
    if not cupy.packages:
        if situation.uses_gpus:
            yield _none(situation)
    elif len(cupy.packages) > 1:
        text = f"{len(cupy.packages)} packages are installed at once and overwrite each other: "
        yield Finding("CuPy", "problem", text + ", ".join(cupy.packages), reinstall(situation))
    else:
        yield _one(situation)


def reinstall(situation: Situation) -> str:
    """Take out whatever CuPy there is, and put in the one that goes with the driver."""
    return f"{uninstall(situation.machine, situation.cupy.packages)} && {_install(situation)}"


def _none(situation: Situation) -> Finding:
    remedy = _install(situation)
    if situation.is_cuda_asked_for:
        return Finding("CuPy", "problem", "not installed, and a GPU needs it", remedy)
    if situation.has_working_gpu:
        return Finding("CuPy", "warning", "not installed, so the GPU is not used", remedy)
    return Finding("CuPy", "ok", "not installed; only a GPU needs it")


def _one(situation: Situation) -> Finding:
    cupy = situation.cupy
    package = cupy.packages[0]
    if package.startswith("cupy-rocm"):
        return Finding("CuPy", "problem", f"{package} is for GPUs of AMD", reinstall(situation))
    if cupy.missing:
        example = f"it lacks {len(cupy.missing)} of its files, {cupy.missing[0]} among them"
        why = f"; it does not load ({cupy.refused})" if cupy.refused else ""
        return Finding("CuPy", "problem", f"{package} is damaged: {example}{why}", reinstall(situation))
    if cupy.refused is not None:
        return Finding("CuPy", "problem", f"{package} does not load ({cupy.refused})", reinstall(situation))
    return _against_driver(situation, f"{package} {cupy.version}", cupy.cuda)


def _against_driver(situation: Situation, name: str, cuda: int) -> Finding:
    driver = situation.driver.version
    if driver // 1000 >= OLDEST_CUDA and cuda > driver // 1000:
        text = f"the driver is too old for {name}: it knows CUDA {dotted(driver)}, and CuPy is of CUDA {cuda}"
        return Finding("CuPy", "problem", text, reinstall(situation))
    if cuda < OLDEST_CUDA:
        text = f"{name} is of CUDA {cuda}; gpunn's kernels are compiled with CUDA 12 or 13"
        return Finding("CuPy", "warning", text, reinstall(situation))
    unused = "" if situation.has_working_gpu else ", with no GPU to use it"
    return Finding("CuPy", "ok", f"{name} for CUDA {cuda}{unused}")


def _install(situation: Situation) -> str:
    return install(situation.machine, f"gpunn[{situation.extra}]")
