"""All areas in order. Whatever one of them meets, the others are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gpunn.diagnosis.areas import (
    blas,
    cache,
    clock,
    compiler,
    cupy_packages,
    decoders,
    disk,
    driver,
    emulator,
    gpu_kernels,
    gpu_state,
    memory,
    processor,
    python_environment,
)
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.machine import Machine
from gpunn.diagnosis.situation import Situation, survey

#: Areas wait for processes of their own most of the time.
AT_ONCE = 4


@dataclass(frozen=True)
class Area:
    """A part of the machine.

    Attributes:
        name: what its finding is called when it cannot be examined.
        needs_gpunn: it asks probes that import gpunn's modules and their libraries.
    """

    name: str
    examine: Callable[[Situation], Iterable[Finding]]
    needs_gpunn: bool = False


AREAS = (
    Area("Python", python_environment.examine),
    Area("BLAS", blas.examine, needs_gpunn=True),
    Area("cores", processor.examine),
    Area("memory", memory.examine),
    Area("GPU", driver.examine),
    Area("CuPy", cupy_packages.examine, needs_gpunn=True),
    Area("compiler", compiler.examine, needs_gpunn=True),
    Area("GPU kernels", gpu_kernels.examine, needs_gpunn=True),
    Area("GPU memory", gpu_state.examine),
    Area("emulator", emulator.examine, needs_gpunn=True),
    Area("pictures", decoders.examine, needs_gpunn=True),
    Area("cache", cache.examine),
    Area("runs", disk.examine),
    Area("clock", clock.examine),
)


def examine(machine: Machine, device: str = "auto", areas: Sequence[Area] = AREAS) -> list[Finding]:
    """What is fit and what is not. Nothing that is met here is raised: it becomes a finding.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1" or "emulator": what has to work.
    """
    situation = survey(machine, device)
    wanted = [area for area in areas if situation.broken is None or not area.needs_gpunn]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        findings = [finding for found in pool.map(lambda area: _findings(area, situation), wanted) for finding in found]
    left_out = [area.name for area in areas if area not in wanted]
    if left_out:
        text = f"not examined, because gpunn does not load ({situation.broken}): {', '.join(left_out)}"
        findings.append(Finding("the rest", "warning", text))
    return findings


def _findings(area: Area, situation: Situation) -> list[Finding]:
    findings = []
    try:
        for finding in area.examine(situation):
            findings.append(finding)
    except Exception as error:
        text = f"it cannot be examined ({type(error).__name__}: {error})"
        findings.append(Finding(area.name, "problem", text))
    return findings
