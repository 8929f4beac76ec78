"""The gradients of a network against finite differences, in float64 and away from kinks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.backend.contract import Device
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.network import Network
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.program.program import Program, plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.random import Stream, generator

#: Half the distance between the two points of a difference, relative to the weights' size.
STEP = 1e-4
#: A difference and the one at half the step that disagree by more than this have a kink between them.
KINK_TOLERANCE = 1e-6
#: Draws for one sample before it is given up as lying at a kink.
ATTEMPTS = 8

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class GradientCheck:
    """The result for one parameter.

    Attributes:
        name: of the parameter.
        samples: elements that were compared.
        kinks: elements that were drawn and left out.
        error: the largest difference, relative to the largest gradient of the parameter.
    """

    name: str
    samples: int
    kinks: int
    error: float


class GradientChecker:
    """A float64 training program whose loss can be asked for again with one weight changed.

    Args:
        network: what to check.
        device: where; it computes float64.
        batch: images, drawn from a normal distribution.
        seed: of weights, images and labels.
        objectives: the loss; None takes softmax and cross-entropy of every output.
    """

    def __init__(
        self, network: Network, device: Device, batch: int, seed: int, objectives: tuple[Objective, ...] | None = None
    ) -> None:
        float64 = precision("float64")
        terms = objectives or tuple(Objective(output, SoftmaxCrossEntropy()) for output in network.outputs)
        specification = Specification(batch=batch, mode="train", precision=float64, objectives=terms, seed=seed)
        self._network = network
        self._state = NetworkState(network, device, float64, Sgd(momentum=0.0), len(terms))
        self._state.initialize(seed)
        self._state.set_control("loss_scale", 1 / batch)
        self._objectives = terms
        self._batch = batch
        self._draw = generator(seed, Stream.INITIALIZATION, 2**32)
        self._program: Program = share_memory([plan_program(network, device, specification)], self._state)[0]
        for buffer in self._program.inputs:
            self._program.write(buffer.name, self._random_input(buffer.name, buffer.shape))

    def run(self, samples: int) -> Iterator[GradientCheck]:
        """Check `samples` elements of every parameter."""
        self._loss()
        gradients = self._state.gradients.export() if self._state.gradients is not None else {}
        for name, _, _ in self._network.parameters():
            yield self._check(name, gradients[name], samples)

    def _random_input(self, name: str, shape: tuple[int, ...]) -> HostArray:
        for objective in self._objectives:
            if objective.target == name and objective.loss.target == "labels":
                return self._draw.integers(0, objective.output.shape[0], shape).astype(np.int32)
        return self._draw.standard_normal(shape)

    def _check(self, name: str, gradient: HostArray, samples: int) -> GradientCheck:
        values = self._state.device.download(self._state.parameters.part(name))
        largest = float(np.abs(gradient).max())
        step = STEP * max(float(np.sqrt(np.mean(values**2))), 1e-2)
        errors: list[float] = []
        kinks = 0
        for _ in range(samples * ATTEMPTS):
            if len(errors) == samples:
                break
            place = int(self._draw.integers(values.size))
            wide, narrow = (self._difference(name, values, place, step * part) for part in (1.0, 0.5))
            if abs(wide - narrow) > KINK_TOLERANCE * max(largest, abs(narrow)):
                kinks += 1
                continue
            # Richardson's extrapolation removes the error of second order.
            difference = (4 * narrow - wide) / 3
            errors.append(abs(difference - float(gradient.flat[place])))
        worst = max(errors, default=float("nan"))
        return GradientCheck(name, len(errors), kinks, worst / largest if largest else worst)

    def _difference(self, name: str, values: HostArray, place: int, step: float) -> float:
        losses = []
        for offset in (step, -step):
            changed = values.copy()
            changed.flat[place] += offset
            self._state.device.upload(self._state.parameters.part(name), changed)
            losses.append(self._loss())
        self._state.device.upload(self._state.parameters.part(name), values)
        return (losses[0] - losses[1]) / (2 * step)

    def _loss(self) -> float:
        self._program.run()
        return sum(
            objective.weight * float(self._program.read(f"loss{position + 1}").sum()) / self._batch
            for position, objective in enumerate(self._objectives)
        )
