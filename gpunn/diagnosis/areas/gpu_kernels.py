"""Kernels compiled and run on the GPU, as training does it."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.running import ProbeError
from gpunn.diagnosis.situation import Situation


def examine(situation: Situation) -> Iterator[Finding]:
    """One finding where there is a GPU with a CuPy that goes with its driver; what is wrong before, other areas say."""
    if not (situation.uses_gpus and situation.can_run_kernels):
        return
    try:
        found = situation.machine.ask("gpu", str(situation.number))
    except ProbeError as error:
        yield Finding("GPU kernels", "problem", str(error), "nvidia-smi   # who holds the GPU?")
        return
    if found["failures"]:
        more = f"; and {len(found['failures']) - 1} more" if len(found["failures"]) > 1 else ""
        text = f"wrong results: {found['failures'][0]}{more}"
        yield Finding("GPU kernels", "problem", text, "nvidia-smi --query --display=ECC,PAGE_RETIREMENT")
        return
    free = f"; {found['free'] / 2**30:.1f} GiB of memory are free" if found["free"] is not None else ""
    yield Finding("GPU kernels", "ok", f"compiled and run, all results right to the bit{free}")
