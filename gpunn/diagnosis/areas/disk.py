"""The folder that runs are written into."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.situation import Situation
from gpunn.diagnosis.writing import LITTLE_SPACE, mend_permission, nearest, roomy_folder, trial

#: The folder in the current one that gpunn train makes.
RUNS = "runs"


def examine(situation: Situation) -> Iterator[Finding]:
    """Can it be written, and is there space?"""
    machine = situation.machine
    folder = machine.folder / RUNS
    existing = nearest(folder)
    roomy = roomy_folder(machine)
    elsewhere = "df -h" if roomy is None else f'gpunn train --out "$(mktemp -d -p {roomy})"'
    refused = trial(existing)
    if refused is not None:
        remedy = mend_permission(machine, existing, refused) or elsewhere
        yield Finding("runs", "warning", f"{existing} cannot be written: {refused.strerror}", remedy)
        return
    free = machine.free_bytes(existing)
    if free < LITTLE_SPACE:
        text = f"only {free / 2**20:,.0f} MiB are free for {folder}"
        yield Finding("runs", "warning", text, elsewhere)
    else:
        yield Finding("runs", "ok", f"{folder}, {free / 2**30:,.0f} GiB free")
