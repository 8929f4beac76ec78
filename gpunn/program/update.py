"""The end of a step: penalties, clipping, one optimiser call over all weights, statistics kept, the step counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import DType
from gpunn.errors import UsageError
from gpunn.optimizers.optimizer import Optimizer
from gpunn.precision import Precision
from gpunn.program.call import Argument, Buffer, Call
from gpunn.program.controls import control
from gpunn.program.program import Binding, in_order
from gpunn.program.state import NetworkState
from gpunn.program.tables import Tables


@dataclass(frozen=True)
class UpdateSpecification:
    """How gradients become new weights.

    Attributes:
        optimizer: the rule.
        penalties: L1, L2 or Lp terms of the loss.
        clip_norm: the largest norm of all gradients together; None leaves them as they are.

    Raises:
        UsageError: when clip_norm is not above 0 and finite.
    """

    optimizer: Optimizer
    penalties: tuple[Penalty, ...] = ()
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if self.clip_norm is not None and not 0 < self.clip_norm < inf:
            raise UsageError(f"clip_norm is {self.clip_norm}; it must be above 0 and finite, or None")


def plan_update(tables: Tables, precision: Precision, specification: UpdateSpecification) -> tuple[Call, ...]:
    """The calls of one update, over the flat arrays of these tables."""
    return tuple(_Planner(tables, precision, specification).calls())


class _Planner:
    """Knows the flat arrays; each method gives the calls of one part of the update."""

    def __init__(self, tables: Tables, precision: Precision, specification: UpdateSpecification) -> None:
        self._tables = tables
        self._precision = precision
        self._specification = specification
        self._parameters = self._weights("parameters")
        self._gradients = self._weights("gradients")

    def calls(self) -> Iterator[Call]:
        """All of them, in order."""
        if self._precision.scales_loss:
            yield self._unscale()
        yield from self._penalties()
        if self._specification.clip_norm is not None:
            yield from self._clip(self._specification.clip_norm)
        yield self._descend(self._specification.optimizer)
        if self._tables.statistics.size:
            yield self._commit()
        yield _call(
            "advance", {"step": control("step"), "apply": control("apply")}, {"latched_step": control("latched_step")}
        )

    def _weights(self, name: str, dtype: DType | None = None) -> Buffer:
        return Buffer(name, (self._tables.weights.size,), dtype or self._precision.master, "plain", "flat")

    def _statistics(self, name: str) -> Buffer:
        return Buffer(name, (self._tables.statistics.size,), self._precision.accumulated, "plain", "flat")

    def _unscale(self) -> Call:
        controls = {name: control(name) for name in ("loss_multiplier", "finite_steps", "apply")}
        return _call("unscale_gradients", {"gradients": self._gradients, **controls}, {})

    def _penalties(self) -> Iterator[Call]:
        for penalty in self._specification.penalties:
            yield _call(
                "penalty_gradient",
                {"gradients": self._gradients},
                {"parameters": self._parameters},
                segments=self._tables.penalised,
                penalty=penalty,
            )

    def _clip(self, maximum: float) -> Iterator[Call]:
        norm = control("gradient_norm")
        yield _call(
            "clip_global_norm",
            {"norm": norm, "gradient_scale": control("gradient_scale")},
            {"gradients": self._gradients},
            segments=self._tables.weights,
            maximum=maximum,
        )
        # One infinite gradient makes the scale 0, and 0 times infinity is NaN. With loss scaling, that is found before.
        if not self._precision.scales_loss:
            yield _call(
                "finite_check",
                {"apply": control("apply"), "latched_step": control("latched_step")},
                {"values": norm, "step": control("step")},
            )

    def _descend(self, optimizer: Optimizer) -> Call:
        histories = {
            argument: self._weights(f"optimizer/{name}")
            for argument, name in zip(optimizer.state_arguments, optimizer.state, strict=True)
        }
        narrow = self._precision.stored != self._precision.master
        controls = {name: control(name) for name in ("learning_rate", "gradient_scale", "step", "apply")}
        return _call(
            optimizer.primitive,
            {
                "parameters": self._parameters,
                "rounded": self._weights("rounded", self._precision.stored) if narrow else None,
                **histories,
            },
            {
                "gradients": self._gradients,
                **controls,
                **({"velocity": None} if optimizer.primitive == "sgd" and not histories else {}),
            },
            segments=self._tables.weights,
            rule=optimizer.rule,
        )

    def _commit(self) -> Call:
        return _call(
            "commit_statistics",
            {"statistics": self._statistics("statistics"), "pending": self._statistics("pending")},
            {"apply": control("apply")},
        )


def _call(primitive: str, writes: Mapping[str, Argument], reads: Mapping[str, Argument], **settings: object) -> Call:
    return Call(primitive, "update", "update", writes, reads, settings)


class Update:
    """The bound calls of an update."""

    def __init__(self, state: NetworkState, specification: UpdateSpecification) -> None:
        self.calls: Sequence[Call] = plan_update(state.tables, state.precision, specification)
        self._run = state.device.record(in_order(self.calls, Binding(state, {}, None)))

    def run(self) -> None:
        """Execute every call in order."""
        self._run()
