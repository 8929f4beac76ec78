"""A row of a step, from the times of the parts that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from gpunn.program.cost import Cost
from gpunn.timing.report import Ceilings, LayerTimes
from gpunn.timing.stopwatch import times_of


@dataclass(frozen=True)
class LayerRow:
    """What a row holds.

    Attributes:
        name: of the layer.
        kind: such as "conv".
        forward: numbers of its parts among those of a step.
        backward: the same of its backward pass.
        costs: what its parts cannot do without.
        executed_flops: what the algorithm multiplies and adds.
        algorithm: that ran.
    """

    name: str
    kind: str
    forward: Sequence[int]
    backward: Sequence[int]
    costs: Sequence[Cost]
    executed_flops: int
    algorithm: str

    def times(self, samples: Sequence[list[float]], floor: float | None) -> LayerTimes:
        """From seconds of every part in some steps.

        Args:
            samples: a list a step.
            floor: seconds that ceilings allow for the row, which the share is of; None leaves it out.
        """
        usual = middle_half(samples)
        forward, backward = (
            1000 * fmean(sum(sample[number] for number in numbers) for sample in usual)
            for numbers in (self.forward, self.backward)
        )
        return LayerTimes(
            name=self.name,
            kind=self.kind,
            forward_ms=forward,
            backward_ms=backward,
            flops=sum(cost.flops for cost in self.costs),
            executed_flops=self.executed_flops,
            bytes=sum(cost.bytes for cost in self.costs),
            algorithm=self.algorithm,
            share_of_ceiling=None if floor is None or forward + backward <= 0 else 1000 * floor / (forward + backward),
            both_ms=times_of([sum(sample[number] for number in (*self.forward, *self.backward)) for sample in samples]),
        )


def floor_of(costs: Sequence[Cost], ceilings: Ceilings | None) -> float | None:
    """Seconds that work cannot take less than, one piece after another; None without ceilings."""
    if ceilings is None:
        return None
    return sum(cost.floor_seconds(ceilings.flops, ceilings.bytes_per_second) for cost in costs)


def middle_half(samples: Sequence[list[float]]) -> Sequence[list[float]]:
    """The samples that are neither among the fastest nor among the slowest quarter.

    Their means add up to a usual step. Medians of single pieces do not: whatever holds up a step, it holds up few of
    its pieces, so that each looks undisturbed by itself.
    """
    quarter = len(samples) // 4
    return sorted(samples, key=sum)[quarter : len(samples) - quarter]
