"""The gradients of a network against finite differences, in float64 and away from kinks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.losses import Objective, SoftmaxCrossEntropy, SoftTargetCrossEntropy
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
#: Of the largest gradient of a network: a parameter with smaller ones has none but for rounding, such as a bias whose
#: effect a batch norm takes away.
ROUNDING = 1e-12

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class GradientCheck:
    """The result for one parameter.

    Attributes:
        name: of the parameter.
        samples: elements that were compared; 0 also when every element of its gradient is zero.
        kinks: elements that were drawn and left out.
        error: the largest difference, relative to the largest gradient of the parameter; where that is no more than
            rounding, to the largest gradient of the network. Not a number without samples.
        trained: whether its layer is trained; else it has no gradient.
    """

    name: str
    samples: int
    kinks: int
    error: float
    trained: bool

    def agrees(self, tolerance: float) -> bool:
        """Whether the gradient was compared and right, or is none because the parameter is frozen."""
        return not self.trained or (self.samples > 0 and self.error <= tolerance)


class GradientChecker:
    """A float64 training program whose loss can be asked for again with one weight changed.

    Args:
        network: what to check.
        device: where; it computes float64.
        batch: images, drawn from a normal distribution.
        seed: of weights, images and labels.
        objectives: the loss; None takes softmax and cross-entropy of every output.

    Raises:
        UsageError: for a softmax of one score, which has no gradient.
    """

    def __init__(
        self, network: Network, device: Device, batch: int, seed: int, objectives: tuple[Objective, ...] | None = None
    ) -> None:
        float64 = precision("float64")
        terms = objectives or tuple(Objective(output, SoftmaxCrossEntropy()) for output in network.outputs)
        for term in terms:
            if isinstance(term.loss, SoftmaxCrossEntropy | SoftTargetCrossEntropy) and term.output.shape[0] < 2:
                raise UsageError(
                    f"'{term.output.name}' gives one score, whose softmax is always 1; check with 2 classes or more"
                )
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
        """Check `samples` elements of every parameter: one in four of those that have no gradient, if there are any."""
        self._loss()
        gradients = self._state.gradients.export() if self._state.gradients is not None else {}
        largest = max((float(np.abs(gradient).max()) for gradient in gradients.values()), default=0.0)
        for name, _, layer in self._network.parameters():
            if layer.trainable and gradients[name].any():
                yield self._check(name, gradients[name], samples, largest)
            else:
                yield GradientCheck(name, 0, 0, float("nan"), layer.trainable)

    def _random_input(self, name: str, shape: tuple[int, ...]) -> HostArray:
        for objective in self._objectives:
            if objective.target == name and objective.loss.target == "labels":
                return self._draw.integers(0, objective.output.shape[0], shape).astype(np.int32)
        return self._draw.standard_normal(shape)

    def _check(self, name: str, gradient: HostArray, samples: int, largest_of_all: float) -> GradientCheck:
        values = self._state.device.download(self._state.parameters.part(name))
        largest = float(np.abs(gradient).max())
        scale = largest if largest > ROUNDING * largest_of_all else largest_of_all
        step = STEP * max(float(np.sqrt(np.mean(values**2))), 1e-2)
        reached, unreached = np.flatnonzero(gradient), np.flatnonzero(gradient == 0)
        zeros = min(samples // 4, unreached.size)
        errors: list[float] = []
        kinks = 0
        for places, wanted in ((reached, samples - zeros), (unreached, zeros)):
            drawn = self._draw.choice(places, min(wanted * ATTEMPTS, places.size), replace=False)
            compared = 0
            for place in map(int, drawn):
                if compared == wanted:
                    break
                wide, narrow = (self._difference(name, values, place, step * part) for part in (1.0, 0.5))
                if abs(wide - narrow) > KINK_TOLERANCE * max(scale, abs(narrow)):
                    kinks += 1
                    continue
                # Richardson's extrapolation removes the error of second order.
                difference = (4 * narrow - wide) / 3
                errors.append(abs(difference - float(gradient.flat[place])))
                compared += 1
        return GradientCheck(name, len(errors), kinks, max(errors, default=float("nan")) / scale, trained=True)

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
