"""What nvidia-smi says of a GPU, field by field."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.diagnosis.machine import Machine

SECONDS = 20.0


def query(machine: Machine, gpu: str, fields: Sequence[str]) -> dict[str, str] | None:
    """The fields by name, for the GPU at an address; None without nvidia-smi, or where it does not know all of them."""
    program = machine.program("nvidia-smi")
    if program is None:
        return None
    command = [program, f"--id={gpu}", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    ended = machine.run(command, SECONDS)
    if ended is None or ended.status != 0 or not ended.output.strip():
        return None
    values = [value.strip() for value in ended.output.splitlines()[0].split(",")]
    return dict(zip(fields, values, strict=True)) if len(values) == len(fields) else None


def number_of(text: str) -> float | None:
    """A number; None of "[N/A]" and the like."""
    try:
        return float(text)
    except ValueError:
        return None
