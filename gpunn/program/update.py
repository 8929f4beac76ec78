"""The end of a step: penalties, clipping, one optimiser call over all weights, statistics kept, the step counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from gpunn.backend.attributes import Penalty
from gpunn.errors import UsageError
from gpunn.optimizers.optimizer import Optimizer
from gpunn.precision import Precision
from gpunn.program.call import Buffer, Call
from gpunn.program.controls import control
from gpunn.program.program import bind
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

    def flat_weights(name: str) -> Buffer:
        return Buffer(name, (tables.weights.size,), precision.master, "plain", "flat")

    def flat_statistics(name: str) -> Buffer:
        return Buffer(name, (tables.statistics.size,), precision.accumulated, "plain", "flat")

    parameters, gradients = flat_weights("parameters"), flat_weights("gradients")
    narrow = precision.stored != precision.master
    rounded = Buffer("rounded", (tables.weights.size,), precision.stored, "plain", "flat") if narrow else None
    scale, apply, step = control("gradient_scale"), control("apply"), control("step")
    unscale = [
        Call(
            "unscale_gradients",
            "update",
            "update",
            {
                "gradients": gradients,
                "loss_multiplier": control("loss_multiplier"),
                "finite_steps": control("finite_steps"),
                "apply": apply,
            },
            {},
            {},
        )
    ]
    calls = unscale if precision.scales_loss else []
    calls += [
        Call(
            "penalty_gradient",
            "update",
            "update",
            {"gradients": gradients},
            {"parameters": parameters},
            {"segments": tables.penalised, "penalty": penalty},
        )
        for penalty in specification.penalties
    ]
    if specification.clip_norm is not None:
        norm = control("gradient_norm")
        calls += [
            Call(
                "clip_global_norm",
                "update",
                "update",
                {"norm": norm, "gradient_scale": scale},
                {"gradients": gradients},
                {"segments": tables.weights, "maximum": specification.clip_norm},
            )
        ]
        if not precision.scales_loss:
            # One infinite gradient makes the scale 0, and 0 times infinity is NaN.
            voids = {"apply": apply, "latched_step": control("latched_step")}
            calls.append(Call("finite_check", "update", "update", voids, {"values": norm, "step": step}, {}))
    optimizer = specification.optimizer
    histories = {
        argument: flat_weights(f"optimizer/{name}")
        for argument, name in zip(optimizer.state_arguments, optimizer.state, strict=True)
    }
    calls.append(
        Call(
            optimizer.primitive,
            "update",
            "update",
            {"parameters": parameters, "rounded": rounded, **histories},
            {
                "gradients": gradients,
                "learning_rate": control("learning_rate"),
                "gradient_scale": scale,
                "step": step,
                "apply": apply,
                **({"velocity": None} if optimizer.primitive == "sgd" and not histories else {}),
            },
            {"segments": tables.weights, "rule": optimizer.rule},
        )
    )
    if tables.statistics.size:
        calls.append(
            Call(
                "commit_statistics",
                "update",
                "update",
                {"statistics": flat_statistics("statistics"), "pending": flat_statistics("pending")},
                {"apply": apply},
                {},
            )
        )
    calls.append(Call("advance", "update", "update", {"step": step}, {"latched_step": control("latched_step")}, {}))
    return tuple(calls)


class Update:
    """The bound calls of an update."""

    def __init__(self, state: NetworkState, specification: UpdateSpecification) -> None:
        self.calls: Sequence[Call] = plan_update(state.tables, state.precision, specification)
        self._steps: tuple[Callable[[], None], ...] = bind(self.calls, state, {}, None)

    def run(self) -> None:
        """Execute every call in order."""
        for step in self._steps:
            step()
