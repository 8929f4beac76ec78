"""A network's training step, as it is planned for a device."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.backend.contract import Device
from gpunn.explaining.explanation import ExplainedCall
from gpunn.explaining.hardware import Ceiling
from gpunn.geometry import Shape
from gpunn.models.definition import Model
from gpunn.network import Network
from gpunn.optimizers import optimizer
from gpunn.optimizers.optimizer import Optimizer
from gpunn.precision import Precision, precision
from gpunn.program.call import Call
from gpunn.program.cost import cost_of
from gpunn.program.program import ProgramPlan, plan_program
from gpunn.program.specification import Specification
from gpunn.program.update import UpdateSpecification
from gpunn.training.objectives import trained_objectives


@dataclass(frozen=True)
class Subject:
    """What is explained.

    Attributes:
        model: gives the network and the recipe with which it learns.
        batch: images of a step.
        precision: by its name in gpunn.precision.
        image: height, width and channels of a picture.
        classes: that are told apart.
    """

    model: Model
    batch: int
    precision: str
    image: Shape
    classes: int

    @property
    def number_types(self) -> Precision:
        """The precision itself."""
        return precision(self.precision)

    def network(self) -> Network:
        """The network."""
        return self.model.build(self.image, self.classes)

    def optimizer(self) -> Optimizer:
        """The recipe's."""
        recipe = self.model.recipe
        return optimizer(recipe.optimizer, recipe.weight_decay, recipe.momentum)

    def update(self) -> UpdateSpecification:
        """How the recipe ends a step."""
        return UpdateSpecification(self.optimizer(), clip_norm=self.model.recipe.clip_norm)


def plan_step(subject: Subject, network: Network, device: Device, batch: int) -> ProgramPlan:
    """The program up to the gradients; it begins with uint8 pictures, which it normalises."""
    specification = Specification(
        batch=batch,
        mode="train",
        precision=subject.number_types,
        objectives=trained_objectives(network, None),
        pictures=(subject.image[0], subject.image[1]),
    )
    return plan_program(network, device, specification)


def explain_call(call: Call, product: Ceiling, copy: Ceiling) -> ExplainedCall:
    """What a call cannot do without, and how long that takes at the ceilings."""
    cost = cost_of(call)
    return ExplainedCall(
        layer=call.node,
        phase=call.phase,
        primitive=call.primitive,
        flops=cost.flops,
        bytes=cost.bytes,
        product_ms=1000 * cost.flops / product.per_second,
        copy_ms=1000 * cost.bytes / copy.per_second,
    )
