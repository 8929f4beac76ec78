"""Milliseconds of every call of a step, beside its floor and beside what PyTorch takes for the same product."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.network_step import NetworkStep
from gpunn.geometry import Conv2dGeometry, LinearGeometry
from gpunn.program.call import Call
from gpunn.program.cost import cost_of
from gpunn.timing.stopwatch import Subject, Times, interleave

#: Runs of a call that follow each other on the device without the host: launching from Python would be measured else.
REPEATS = 20
ROUNDS = 3


def layer_times(step: NetworkStep, ceilings: Ceilings | None, with_peers: bool) -> list[dict[str, Any]]:
    """One entry for each call, in order.

    Repeating a call finds small arrays in the cache, which a whole step would not.
    """
    return [_call_times(step, call, ceilings, with_peers) for call in step.calls]


def _call_times(step: NetworkStep, call: Call, ceilings: Ceilings | None, with_peers: bool) -> dict[str, Any]:
    once = step.program.binding.step(call)

    def repeated() -> None:
        for _ in range(REPEATS):
            once()

    subjects = {"gpunn": Subject(step.device.record(repeated), step.device.synchronize)}
    peer = _peer(step, call) if with_peers else None
    if peer is not None:
        subjects["pytorch"] = peer
    times = {name: _divided(found) for name, found in interleave(subjects, ROUNDS).items()}
    cost = cost_of(call)
    entry: dict[str, Any] = {
        "layer": call.node,
        "phase": call.phase,
        "call": call.primitive,
        "flops": cost.flops,
        "bytes": cost.bytes,
        **{f"{name}_ms": asdict(found) for name, found in times.items()},
    }
    if cost.flops:
        entry["tflops"] = cost.flops / times["gpunn"].median / 1e9
    if ceilings is not None:
        ceiling = ceilings.flops_per_second[step.state.precision.multiplied]
        entry["floor_ms"] = 1000 * cost.floor_seconds(ceiling, ceilings.bytes_per_second)
    return entry


def _divided(times: Times) -> Times:
    return Times(times.median / REPEATS, times.low / REPEATS, times.high / REPEATS)


def _peer(step: NetworkStep, call: Call) -> Subject | None:
    geometry = call.settings.get("geometry")
    if not isinstance(geometry, Conv2dGeometry | LinearGeometry):
        return None
    from benchmarks.gpu.pytorch_layers import pytorch_product

    return pytorch_product(call.primitive, geometry, step.state.precision, REPEATS)
