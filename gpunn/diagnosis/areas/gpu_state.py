"""The state of a GPU as nvidia-smi tells it: memory that others hold, its mode, and what holds its clocks down."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.nvidia_smi import number_of, query
from gpunn.diagnosis.situation import Situation

#: In MiB, as nvidia-smi counts; what AlexNet trains in with a small batch.
LITTLE_MEMORY = 2048
#: The name of the same field in newer drivers and in older ones.
REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
#: Bits of NVML's clocks event reasons (NVML API Reference, nvmlClocksEventReasons): what is no fault of the moment.
_LOCKED = 0x2
_SLOWED = {
    0x8: "a hardware slowdown",
    0x20: "heat",
    0x40: "heat, by the hardware",
    0x80: "the power brake of the supply",
}


def examine(situation: Situation) -> Iterator[Finding]:
    """Memory, mode and clocks; nothing where there is no GPU or no nvidia-smi."""
    if situation.uses_gpus and situation.number < len(situation.driver.gpus):
        gpu = situation.driver.gpus[situation.number].address
        yield from _memory(situation, gpu)
        yield from _clocks(situation, gpu)


def _memory(situation: Situation, gpu: str) -> Iterator[Finding]:
    found = query(situation.machine, gpu, ("memory.free", "memory.total", "compute_mode", "driver_version"))
    if found is None:
        text = "nvidia-smi is not here to tell of memory and clocks"
        yield Finding("GPU memory", "ok", text)
        return
    if found["compute_mode"] == "Prohibited":
        text = "its compute mode is Prohibited: no program may use it"
        yield Finding("GPU mode", situation.severity, text, f"sudo nvidia-smi --id={gpu} --compute-mode=DEFAULT")
    free, total = number_of(found["memory.free"]), number_of(found["memory.total"])
    if free is None or total is None:
        return
    text = f"{free / 1024:.1f} of {total / 1024:.1f} GiB are free"
    if free < LITTLE_MEMORY:
        remedy = "nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv   # then: kill PID"
        yield Finding("GPU memory", "warning", f"{text}; other processes hold the rest", remedy)
    else:
        yield Finding("GPU memory", "ok", f"{text}; driver {found['driver_version']}")


def _clocks(situation: Situation, gpu: str) -> Iterator[Finding]:
    for name in REASONS:
        found = query(situation.machine, gpu, ("clocks.sm", "clocks.max.sm", "temperature.gpu", name))
        if found is not None:
            yield _clock(gpu, found, found[name])
            return


def _clock(gpu: str, found: dict[str, str], reasons: str) -> Finding:
    active = int(reasons, 16) if reasons.startswith("0x") else 0
    state = f"{found['clocks.sm']} of {found['clocks.max.sm']} MHz at {found['temperature.gpu']} °C"
    slowed = [name for bit, name in _SLOWED.items() if active & bit]
    if slowed:
        return Finding(
            "GPU clocks",
            "warning",
            f"{state}, held down by {' and '.join(slowed)}",
            f"nvidia-smi --id={gpu} --query --display=PERFORMANCE,TEMPERATURE,POWER",
        )
    if active & _LOCKED:
        text = f"{state}, as somebody has set them"
        return Finding("GPU clocks", "warning", text, f"sudo nvidia-smi --id={gpu} --reset-gpu-clocks")
    return Finding("GPU clocks", "ok", f"{state}; nothing holds them down")
