"""The rows of gpunn's own step: which they are, what they cannot do without, and which hold another layer's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpunn.backend.cpu.device import CpuDevice
from gpunn.network import Network
from gpunn.optimizers.by_name import optimizer
from gpunn.precision import precision
from gpunn.program.call import Call
from gpunn.program.cost import Cost, cost_of
from gpunn.program.program import plan_program
from gpunn.program.specification import Specification
from gpunn.program.tables import tables_of
from gpunn.program.update import UpdateSpecification, plan_update
from gpunn.timing.contestant import Task
from gpunn.timing.network_step import INPUT, LOSS, OPTIMIZER, Direction
from gpunn.training.objectives import trained_objectives


@dataclass(frozen=True)
class RowPlan:
    """Rows for another library's times, so that like stands beside like.

    gpunn computes some activations within the call of a neighbour; the time that another library takes for them
    belongs to that neighbour's row.

    Attributes:
        kinds: of the rows, in their order.
        forward: the row that a layer's forward pass counts for, by the layer's label.
        backward: the same of its backward pass.
        costs: of every call that makes up a row.
    """

    kinds: Mapping[str, str]
    forward: Mapping[str, str]
    backward: Mapping[str, str]
    costs: Mapping[str, tuple[Cost, ...]]

    def row(self, label: str, direction: Direction) -> str:
        """Where a pass counts; "input", "loss" and "optimizer" are rows themselves."""
        return (self.forward if direction == "forward" else self.backward).get(label, label)


def plan_rows(task: Task) -> RowPlan:
    """The rows of a task; nothing is allocated."""
    network = task.network()
    calls = _calls(task, network)
    image = network.labels[network.image]
    labels = [network.labels[node] for node in network.nodes if node is not network.image]
    own = {phase: {call.node for call in calls if call.phase == phase} - {image} for phase in ("forward", "backward")}
    kinds = {network.labels[node]: node.layer.kind for node in network.nodes}
    rows = [INPUT, *(label for label in labels if label in own["forward"] | own["backward"]), LOSS, OPTIMIZER]
    fed = task.pictures().nbytes + task.labels().nbytes
    costs: dict[str, list[Cost]] = {row: [] for row in rows}
    costs[INPUT].append(Cost(0, fed))
    for call in calls:
        named = {"loss": LOSS, "update": OPTIMIZER}.get(call.phase, INPUT if call.node == image else call.node)
        costs[named].append(cost_of(call))
    return RowPlan(
        kinds={row: kinds.get(row, row) for row in rows},
        forward=_rows_before(network, own["forward"]),
        backward=_rows_behind(network, own["backward"]),
        costs={row: tuple(found) for row, found in costs.items()},
    )


def _calls(task: Task, network: Network) -> tuple[Call, ...]:
    number_types, recipe = precision(task.precision), task.model.recipe
    rows, columns, _ = task.image
    objectives = trained_objectives(network, None)
    asked = Specification(task.batch, "train", number_types, objectives, pictures=(rows, columns))
    rule = optimizer(recipe.optimizer, recipe.weight_decay, recipe.momentum)
    device = CpuDevice(threads=1)
    try:
        passes = plan_program(network, device, asked).calls
    finally:
        device.close()
    tables = tables_of(network, rule.weight_decay)
    return (*passes, *plan_update(tables, number_types, UpdateSpecification(rule, clip_norm=recipe.clip_norm)))


def _rows_before(network: Network, own: set[str]) -> dict[str, str]:
    """Each label itself where it has calls of its own, else the row of what it reads first."""
    found: dict[str, str] = {network.labels[network.image]: INPUT}
    for node in network.nodes:
        if node is not network.image:
            label = network.labels[node]
            found[label] = label if label in own else found[network.labels[node.inputs[0]]]
    return found


def _rows_behind(network: Network, own: set[str]) -> dict[str, str]:
    """Each label itself where it has calls of its own, else the row of who reads it first; the loss reads outputs."""
    found: dict[str, str] = {}
    readers: dict[str, str] = {}
    for node in reversed(network.nodes):
        label = network.labels[node]
        found[label] = label if label in own else readers.get(label, LOSS)
        readers.update({network.labels[source]: found[label] for source in node.inputs})
    return found
