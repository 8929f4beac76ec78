"""How busy the machine is."""

from __future__ import annotations

import os

from gpunn.timing.report import Load


def machine_load() -> Load | None:
    """The load average of the last minute, beside all cores of the machine; None where the system does not tell."""
    cores = os.cpu_count()
    try:
        average, _, _ = os.getloadavg()
    except (OSError, AttributeError):
        return None
    return None if cores is None else Load(average, cores)
