"""A network's training step, as it is planned for a device."""

from __future__ import annotations

from gpunn.backend.contract import Device
from gpunn.backend.work import Work
from gpunn.explaining.explanation import ExplainedCall, Launch
from gpunn.explaining.hardware import Ceiling
from gpunn.network import Network
from gpunn.optimizers import optimizer
from gpunn.optimizers.optimizer import Optimizer
from gpunn.precision import precision
from gpunn.program.call import Call
from gpunn.program.cost import cost_of
from gpunn.program.program import ProgramPlan, plan_program
from gpunn.program.specification import Specification
from gpunn.program.update import UpdateSpecification
from gpunn.timing.contestant import Task
from gpunn.training.objectives import trained_objectives


def optimizer_of(task: Task) -> Optimizer:
    """The recipe's."""
    recipe = task.model.recipe
    return optimizer(recipe.optimizer, recipe.weight_decay, recipe.momentum)


def update_of(task: Task) -> UpdateSpecification:
    """How the recipe ends a step."""
    return UpdateSpecification(optimizer_of(task), clip_norm=task.model.recipe.clip_norm)


def plan_step(task: Task, network: Network, device: Device, batch: int) -> ProgramPlan:
    """The program up to the gradients, for any batch; it begins with uint8 pictures, which it normalises."""
    specification = Specification(
        batch=batch,
        mode="train",
        precision=precision(task.precision),
        objectives=trained_objectives(network, None),
        pictures=(task.image[0], task.image[1]),
    )
    return plan_program(network, device, specification)


def explain_call(
    call: Call, work: Work, product: Ceiling, copy: Ceiling, launches: tuple[Launch, ...] = ()
) -> ExplainedCall:
    """What a call cannot do without, how long that takes at the ceilings, and what is done.

    Where the algorithm does with fewer products than the call asks for, as Winograd's, its own number counts; what
    tiles execute in vain does not.
    """
    cost = cost_of(call)
    executed = cost.flops if work.flops is None else work.flops
    return ExplainedCall(
        layer=call.node,
        phase=call.phase,
        primitive=call.primitive,
        algorithm=work.algorithm,
        flops=cost.flops,
        executed_flops=executed,
        bytes=cost.bytes,
        product_ms=1000 * min(cost.flops, executed) / product.per_second,
        copy_ms=1000 * cost.bytes / copy.per_second,
        launches=launches,
    )
