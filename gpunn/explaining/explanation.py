"""What is known of a training step before it runs: the object that table and JSON of `gpunn explain` are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from gpunn.explaining.hardware import Ceiling

Phase = Literal["forward", "loss", "backward", "update"]

#: The rows that are no layers, with their phases; `gpunn time` calls them the same.
OUTSIDE: Mapping[str, Phase] = MappingProxyType({"input": "forward", "loss": "loss", "optimizer": "update"})


@dataclass(frozen=True)
class Residency:
    """How the blocks of a launch fill a GPU; this needs the compiled kernel.

    Attributes:
        registers: of a thread.
        spill_bytes: that a thread stores and loads because registers did not suffice.
        shared_bytes: of a block, static and dynamic.
        blocks: that a multiprocessor holds at a time.
        occupancy: the share of its warps that they fill.
        waves: the blocks of the grid over those that all multiprocessors hold at a time.
        tail_efficiency: waves over waves rounded up: the share of the places for blocks that are ever taken.
    """

    registers: int
    spill_bytes: int
    shared_bytes: int
    blocks: int
    occupancy: float
    waves: float
    tail_efficiency: float


@dataclass(frozen=True)
class Launch:
    """One kernel of a call.

    Attributes:
        choices: what its source leaves open, such as "bfloat16".
        tile: rows x columns of the result that a block computes, for products; None for other kernels.
        grid: blocks along x, y and z.
        block: threads along x, y and z.
        residency: None as long as the kernel was not compiled.
    """

    kernel: str
    file: str
    choices: tuple[str, ...]
    tile: str | None
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    dynamic_shared_bytes: int
    residency: Residency | None = None


@dataclass(frozen=True)
class ExplainedCall:
    """One primitive.

    Attributes:
        layer: of the network, or "loss1", "update".
        algorithm: what was chosen for it, or the names of its kernels.
        flops: two per multiply-add; only products are counted.
        executed_flops: the same with the padding of tiles; fewer where an algorithm does with fewer products.
        bytes: every array that is read or written, once.
        product_ms: that the operations take at the ceiling of products, without padding.
        copy_ms: that the bytes take at the ceiling of copies.
        launches: of a GPU, in order; empty on a CPU.
        measured_ms: None where nobody measured.
    """

    layer: str
    phase: Phase
    primitive: str
    algorithm: str
    flops: int
    executed_flops: int
    bytes: int
    product_ms: float
    copy_ms: float
    launches: tuple[Launch, ...] = ()
    measured_ms: float | None = None

    @property
    def floor_ms(self) -> float:
        """The longer of the two times."""
        return max(self.product_ms, self.copy_ms)


@dataclass(frozen=True)
class Row:
    """The calls of one layer in one phase.

    Attributes:
        layer: of the network, or one of OUTSIDE.
        measured_ms: of all of them; None where nobody measured.
    """

    layer: str
    phase: Phase
    calls: tuple[ExplainedCall, ...]
    measured_ms: float | None = None

    @property
    def floor_ms(self) -> float:
        """Of the calls, one after another."""
        return sum(call.floor_ms for call in self.calls)

    @property
    def dominant(self) -> ExplainedCall:
        """The call with the largest floor."""
        return max(self.calls, key=lambda call: call.floor_ms)

    @property
    def launches(self) -> int:
        """Of all calls."""
        return sum(len(call.launches) for call in self.calls)


@dataclass(frozen=True)
class StepMemory:
    """Bytes of a training step.

    Attributes:
        program: activations, gradients of activations and scratch.
        state: weights, their gradients, the optimiser's arrays, statistics, and what the backend keeps.
        available: of the device; None where nobody knows.
        largest_batch: that fits, where this one does not.
    """

    program: int
    state: int
    available: int | None
    largest_batch: int | None = None

    @property
    def total(self) -> int:
        """Everything together."""
        return self.program + self.state


@dataclass(frozen=True)
class Explanation:
    """A training step on a device.

    Attributes:
        device: as it was asked for, such as "h100".
        name: of the hardware, with what counts of it.
        product: the ceiling of products in this precision.
        copy: the ceiling of copies.
        kernels: how they were chosen; empty on a CPU.
        measured: where measured times are from; None without.
        measured_step_ms: of the whole step, as it was measured.
    """

    model: str
    batch: int
    precision: str
    device: str
    name: str
    product: Ceiling
    copy: Ceiling
    rows: tuple[Row, ...]
    memory: StepMemory
    kernels: str = ""
    measured: str | None = None
    measured_step_ms: float | None = None

    @property
    def calls(self) -> tuple[ExplainedCall, ...]:
        """Of all rows, in order."""
        return tuple(call for row in self.rows for call in row.calls)

    @property
    def floor_ms(self) -> float:
        """Of the step: its calls one after another, each at its floor."""
        return sum(row.floor_ms for row in self.rows)

    @property
    def images_per_second(self) -> float:
        """At the floor."""
        return 1000 * self.batch / self.floor_ms

    def as_json(self) -> dict[str, Any]:
        """The same, for json.dumps."""
        calls = self.calls
        return {
            "model": self.model,
            "batch": self.batch,
            "precision": self.precision,
            "device": self.device,
            "name": self.name,
            "ceilings": {"product": asdict(self.product), "copy": asdict(self.copy)},
            "flops": sum(call.flops for call in calls),
            "executed_flops": sum(call.executed_flops for call in calls),
            "bytes": sum(call.bytes for call in calls),
            "floor_ms": self.floor_ms,
            "images_per_second_at_the_floor": self.images_per_second,
            "memory": asdict(self.memory),
            "kernels": self.kernels,
            "measured": self.measured,
            "measured_step_ms": self.measured_step_ms,
            "layers": [
                {
                    "layer": row.layer,
                    "phase": row.phase,
                    "floor_ms": row.floor_ms,
                    "measured_ms": row.measured_ms,
                    "calls": [{**asdict(call), "floor_ms": call.floor_ms} for call in row.calls],
                }
                for row in self.rows
            ],
        }


def rows_of(calls: Iterable[ExplainedCall]) -> tuple[Row, ...]:
    """Calls by layer and phase, in the order in which each first has one."""
    found: dict[tuple[str, Phase], list[ExplainedCall]] = {}
    for call in calls:
        found.setdefault((_row_name(call), call.phase), []).append(call)
    return tuple(Row(layer, phase, tuple(group), _sum(group)) for (layer, phase), group in found.items())


def _row_name(call: ExplainedCall) -> str:
    if call.primitive == "normalize_images":
        return "input"
    return {"loss": "loss", "update": "optimizer"}.get(call.phase, call.layer)


def _sum(calls: Sequence[ExplainedCall]) -> float | None:
    """Of the measured times; None unless all were measured."""
    times = [call.measured_ms for call in calls if call.measured_ms is not None]
    return sum(times) if len(times) == len(calls) else None
