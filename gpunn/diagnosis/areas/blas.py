"""The library that computes NumPy's products."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.installing import install
from gpunn.diagnosis.running import ProbeError
from gpunn.diagnosis.situation import Situation

#: Operations a second on one thread. Plain loops reach one or two thousand millions, a vectorised library tens.
SLOW = 8e9


def examine(situation: Situation) -> Iterator[Finding]:
    """Which, and how fast."""
    machine = situation.machine
    again = install(machine, "numpy", options=("--force-reinstall", "--no-deps", "--only-binary", "numpy"))
    try:
        found = machine.ask("blas")
    except ProbeError as error:
        yield Finding("BLAS", "problem", f"NumPy computes no product ({error})", again)
        return
    speed = f"{found['flops'] / 1e9:.3g} GFLOP/s in float32 on one thread"
    if found["name"] is None:
        yield Finding("BLAS", "warning", f"NumPy {found['numpy']} has no fast BLAS: {speed}", again)
        return
    text = f"{found['name']} {found['version']}: {speed}, on this machine as busy as it is"
    yield (
        Finding("BLAS", "warning", f"{text}, which is slow", again)
        if found["flops"] < SLOW
        else Finding("BLAS", "ok", text)
    )
