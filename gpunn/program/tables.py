"""How the parameters and statistics of a network lie in flat arrays; nothing is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.arena import Part, SegmentTable, place
from gpunn.network import Network


@dataclass(frozen=True)
class Tables:
    """The parts of a network's flat arrays.

    Attributes:
        weights: of the parameters, their gradients and each array of the optimiser, with the weight decay.
        penalised: the same parts; a decay of 1 marks those that penalties apply to.
        statistics: of the running statistics, committed and proposed.
    """

    weights: SegmentTable
    penalised: SegmentTable
    statistics: SegmentTable


def tables_of(network: Network, weight_decay: float = 0.0) -> Tables:
    """Parameters lie in the order in which their gradients become ready, from the last layer to the first."""
    parameters = list(reversed(list(network.parameters())))
    return Tables(
        place(
            Part(
                name,
                parameter.shape,
                layer.learning_rate_factor,
                weight_decay if parameter.decays else 0.0,
                layer.trainable,
            )
            for name, parameter, layer in parameters
        ),
        place(
            Part(name, parameter.shape, 1.0, float(parameter.decays), layer.trainable)
            for name, parameter, layer in parameters
        ),
        place(Part(name, statistic.shape) for name, statistic in network.statistics()),
    )
