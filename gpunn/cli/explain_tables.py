"""An explanation as text: a table, and what the figures add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gpunn.backend.sizes import describe_bytes
from gpunn.cli.columns import Column
from gpunn.explaining.explanation import ExplainedCall, Explanation, Launch, Row
from gpunn.explaining.hardware import Ceiling

HOW_COUNTED = (
    "floor: calls follow one another, and each takes the longer of its product's time (two FLOPs a multiply-add, fewer "
    "where its algorithm needs fewer) and of its copy's (each array once, none kept in a cache)"
)
#: Shorter steps are told in microseconds.
_SHORT_MS = 1.0


@dataclass(frozen=True)
class _Unit:
    """In which times are told."""

    name: str
    of_a_ms: float
    decimals: int

    def told(self, milliseconds: float, decimals: int | None = None) -> str:
        """Without the unit's name."""
        return f"{milliseconds * self.of_a_ms:.{self.decimals if decimals is None else decimals}f}"


_MILLISECONDS, _MICROSECONDS = _Unit("ms", 1.0, 3), _Unit("us", 1000.0, 2)


@dataclass(frozen=True)
class _Line:
    """What a line of a table tells of: a row or a call, and the launch that stands for it."""

    layer: str
    phase: str
    kernel: str
    launch: Launch | None
    flops: int | None
    executed_flops: int | None
    bytes: int | None
    floor_ms: float | None
    bound: str
    measured_ms: float | None = None


def layer_columns(explanation: Explanation) -> list[Column]:
    """A line for each layer and phase; kernel, tile, grid and what follows are those of its most expensive call."""
    return _columns([_of_row(row) for row in explanation.rows], explanation)


def launch_columns(explanation: Explanation) -> list[Column]:
    """A line for each call, and for each further launch of it."""
    return _columns([line for call in explanation.calls for line in _of_call(call)], explanation)


def heading(explanation: Explanation) -> str:
    """What is explained."""
    return (
        f"{explanation.model}, one training step of {explanation.batch} images in {explanation.precision} on "
        f"{explanation.name}"
    )


def totals(explanation: Explanation) -> list[str]:
    """The sums, and where the figures are from."""
    calls = explanation.calls
    flops, transferred = sum(call.flops for call in calls), sum(call.bytes for call in calls)
    product_ms, copy_ms = sum(call.product_ms for call in calls), sum(call.copy_ms for call in calls)
    launches = sum(len(call.launches) for call in calls)
    executed = sum(call.executed_flops for call in calls)
    counted = f"{len(calls)} calls" + (f", {launches} launches" if launches else "")
    why = "with the padding of tiles" if launches else "executed"
    unit = _unit(explanation)
    floor, products, copies = (
        f"{unit.told(time, 2)} {unit.name}" for time in (explanation.floor_ms, product_ms, copy_ms)
    )
    lines = [
        f"{counted}: {_count(flops / 1e9)} GFLOP ({_count(executed / 1e9)} {why}), {_count(transferred / 1e9)} GB",
        f"floor {floor}, {explanation.images_per_second:,.0f} images/s "
        f"(products alone {products}, copies alone {copies})",
        f"ceilings: products {_rate(explanation.product, 'FLOP/s')}, copies {_rate(explanation.copy, 'B/s')}",
        HOW_COUNTED,
        _memory(explanation),
    ]
    if explanation.kernels:
        lines.append(f"kernels: {explanation.kernels}")
    lines += _spills(calls)
    lines += _measured(explanation)
    return lines


def _unit(explanation: Explanation) -> _Unit:
    return _MICROSECONDS if explanation.floor_ms < _SHORT_MS else _MILLISECONDS


def _of_row(row: Row) -> _Line:
    call = row.dominant
    launch = call.launches[0] if call.launches else None
    others = row.launches - 1
    name = launch.kernel if launch else call.algorithm
    return _Line(
        row.layer,
        row.phase,
        f"{name} +{others}" if others > 0 else name,
        launch,
        sum(one.flops for one in row.calls),
        sum(one.executed_flops for one in row.calls),
        sum(one.bytes for one in row.calls),
        row.floor_ms,
        _bound(call),
        row.measured_ms,
    )


def _of_call(call: ExplainedCall) -> Iterator[_Line]:
    first = call.launches[0] if call.launches else None
    name = _with_types(first) if first else f"{call.primitive}: {call.algorithm}"
    yield _Line(
        call.layer,
        call.phase,
        name,
        first,
        call.flops,
        call.executed_flops,
        call.bytes,
        call.floor_ms,
        _bound(call),
        call.measured_ms,
    )
    for launch in call.launches[1:]:
        yield _Line("", "", _with_types(launch), launch, None, None, None, None, "")


def _with_types(launch: Launch) -> str:
    return f"{launch.kernel}<{', '.join(launch.choices)}>" if launch.choices else launch.kernel


def _bound(call: ExplainedCall) -> str:
    return "product" if call.product_ms > call.copy_ms else "copy"


def _columns(lines: Sequence[_Line], explanation: Explanation) -> list[Column]:
    unit, step_ms = _unit(explanation), explanation.floor_ms

    def column(title: str, worth: int, cell: Callable[[_Line], str], is_number: bool = True) -> Column:
        return Column(title, tuple(map(cell, lines)), is_number, worth)

    return [
        column("layer", 100, lambda line: line.layer, False),
        column("phase", 99, lambda line: line.phase, False),
        column("kernel", 60, lambda line: line.kernel, False),
        column("tile", 80, lambda line: (line.launch and line.launch.tile) or "", False),
        column("grid", 40, lambda line: "x".join(map(str, _extents(line.launch.grid))) if line.launch else ""),
        column("threads", 10, lambda line: "x".join(map(str, _extents(line.launch.block))) if line.launch else ""),
        column("waves", 70, lambda line: _waves(line.launch)),
        column("registers", 30, lambda line: _registers(line.launch)),
        column("occupancy", 50, lambda line: _occupancy(line.launch)),
        column("GFLOP", 35, lambda line: _count(line.flops / 1e9) if line.flops else ""),
        column("useful", 34, _useful),
        column("MB", 36, lambda line: _count(line.bytes / 1e6) if line.bytes is not None else ""),
        column(f"floor {unit.name}", 98, lambda line: unit.told(line.floor_ms) if line.floor_ms is not None else ""),
        column("bound by", 45, lambda line: line.bound, False),
        column("of step", 20, lambda line: f"{line.floor_ms / step_ms:.1%}" if line.floor_ms is not None else ""),
        column("measured", 97, lambda line: unit.told(line.measured_ms) if line.measured_ms is not None else ""),
        column("reached", 96, _reached),
    ]


def _count(number: float) -> str:
    """With three digits or more."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _extents(extents: tuple[int, int, int]) -> Sequence[int]:
    """Without the ones at the end."""
    kept = list(extents)
    while len(kept) > 1 and kept[-1] == 1:
        kept.pop()
    return kept


def _waves(launch: Launch | None) -> str:
    if launch is None or launch.residency is None:
        return ""
    return f"{launch.residency.waves:,.2f} ({launch.residency.tail_efficiency:.0%})"


def _registers(launch: Launch | None) -> str:
    if launch is None or launch.residency is None:
        return ""
    spilled = launch.residency.spill_bytes
    return f"{launch.residency.registers}{f' spills {spilled} B' if spilled else ''}"


def _occupancy(launch: Launch | None) -> str:
    return "" if launch is None or launch.residency is None else f"{launch.residency.occupancy:.0%}"


def _useful(line: _Line) -> str:
    """Which part of what is executed the definition asks for; none where an algorithm does with less than that."""
    if not line.flops or not line.executed_flops or line.executed_flops < line.flops:
        return ""
    return f"{line.flops / line.executed_flops:.0%}"


def _reached(line: _Line) -> str:
    return f"{line.floor_ms / line.measured_ms:.0%}" if line.measured_ms and line.floor_ms is not None else ""


def _rate(ceiling: Ceiling, unit: str) -> str:
    factor, prefix = (1e12, "T") if ceiling.per_second >= 1e12 else (1e9, "G")
    return f"{ceiling.per_second / factor:.4g} {prefix}{unit} ({ceiling.source})"


def _memory(explanation: Explanation) -> str:
    memory = explanation.memory
    of = f" of {describe_bytes(memory.available)}" if memory.available is not None else ""
    text = (
        f"memory {describe_bytes(memory.total)}{of}: {describe_bytes(memory.program)} activations and scratch, "
        f"{describe_bytes(memory.state)} weights, gradients and optimiser"
    )
    if memory.largest_batch is None:
        return text
    return f"{text}; this does not fit, the largest batch that does is {memory.largest_batch}"


def _spills(calls: Sequence[ExplainedCall]) -> Iterator[str]:
    launches = [launch for call in calls for launch in call.launches if launch.residency is not None]
    spilling = dict.fromkeys(_with_types(one) for one in launches if one.residency and one.residency.spill_bytes)
    if launches:
        yield f"registers spilled by {', '.join(spilling)}" if spilling else "no kernel spills registers"


def _measured(explanation: Explanation) -> Iterator[str]:
    if explanation.measured is None:
        return
    step, unit = explanation.measured_step_ms, _unit(explanation)
    reached = f"{unit.told(step, 2)} {unit.name}, which reaches {explanation.floor_ms / step:.0%}" if step else ""
    whole = f"; the whole step {reached}" if step else ""
    yield f"measured in {unit.name}, and the share of the floor's speed that is reached: {explanation.measured}{whole}"
