"""A program as text: every call with its buffers, and where the buffers lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpunn.program.call import Argument, Buffer, Call
from gpunn.program.program import ProgramPlan


def describe_program(plan: ProgramPlan, update: Sequence[Call] = ()) -> str:
    """A line per call, those of the update last; then a line per placed buffer with its life, offset and size."""
    calls = (*plan.calls, *update)
    specification = plan.specification
    lines = [
        f"program of {plan.network.name}: {specification.mode}, batch {specification.batch}, "
        f"{specification.precision.name}, {len(calls)} calls"
    ]
    width = max(len(call.primitive) for call in calls)
    for index, call in enumerate(calls):
        touched = f"{_arguments(call.writes)} <- {_arguments(call.reads)}"
        lines.append(f"{index:4d}  {call.phase:8}  {call.primitive:{width}}  {touched}")
    lines.append("")
    lines.append(f"{'buffer':32}  {'shape':22}  {'type':8}  {'calls':>9}  {'offset':>12}  {'bytes':>12}")
    for placement in plan.memory.placements:
        buffer, life = placement.buffer, placement.life
        shape = "x".join(map(str, buffer.shape))
        alive = f"{max(life.first, 0)}-{min(life.last, len(plan.calls) - 1)}"
        place = f"{placement.offset:12,}  {placement.size:12,}"
        lines.append(f"{buffer.name:32}  {shape:22}  {buffer.dtype!s:8}  {alive:>9}  {place}")
    lines.append(f"buffers {plan.memory.size:,} bytes, shared workspace {plan.memory.workspace:,} bytes")
    return "\n".join(lines)


def _arguments(arguments: Mapping[str, Argument]) -> str:
    return ", ".join(
        _names(argument) for argument in arguments.values() if argument is not None and not _is_empty(argument)
    )


def _is_empty(argument: Argument) -> bool:
    """The workspace of a primitive that needs none."""
    return isinstance(argument, Buffer) and argument.shape == (0,)


def _names(argument: Argument) -> str:
    if isinstance(argument, Buffer):
        return _name(argument)
    return "" if argument is None else "(" + ", ".join(map(_name, argument)) + ")"


def _name(buffer: Buffer) -> str:
    """What belongs to a parameter or a statistic is known by its name."""
    prefix = {"gradient": "grad ", "pending": "pending ", "rounded": "rounded "}.get(buffer.kind, "")
    return prefix + buffer.name
