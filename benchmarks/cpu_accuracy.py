"""The rounding errors of a network's layers in float32, each on its own, against float64 from the same inputs.

    python -m benchmarks.cpu_accuracy --network vgg16 --batch 8 --algorithm winograd

One training step runs in float32 on photographs, with the weights that a run begins with, or after --steps of
training. Every call of it is repeated in float64 with what it read: activations, gradients, weights, and what the
forward pass kept. With --noise, convolutions and fully connected layers read normal numbers in place of activations and
gradients, whose sums cancel more. An error is the L2 norm of the difference, as a share of that of the float64 result.
A line a layer; the worst of a column has a star, what exceeds its bound an exclamation mark, and the exit status is 1
then.

The float64 results are those of gpunn's direct algorithms. Where PyTorch is installed, it computes those of the
convolutions and the fully connected layers too, and the largest distance of the two is printed: some 1e-15 says that
either will do for the reference.

A bound counts roundings: 3e-6 is fifty of them. Where rounding the inputs once more would change a result by more than
one, because its sums cancel, as those for a bias before a batch norm do to nothing, the bound is as many times larger,
and the error is put in brackets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, get_args

import numpy as np

from benchmarks.cpu.arguments import positive
from benchmarks.cpu.example_images import photographs
from benchmarks.cpu.pytorch_products import pytorch_results
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.cpu.device import open_cpu
from gpunn.backend.work import Journal
from gpunn.cli.table import table
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.models import MODELS, model
from gpunn.network import Network
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.program.call import Argument, Buffer, Call, buffers_of
from gpunn.program.comparison import PRODUCTS, Side
from gpunn.program.specification import Specification

Array = np.ndarray[Any, Any]

#: The largest error of an algorithm that multiplies what the definition says, and of Winograd's.
EXACT_BOUND, WINOGRAD_BOUND = 3e-6, 2e-5
#: Half the distance from 1 to the next number of float32.
UNIT = 2.0**-24
#: Calls of a step that belong to no layer.
BOOKKEEPING = ("finite_check", "record_losses")
#: What the results of calls are to a layer, by their arguments; all others are outputs.
COLUMNS = {
    **dict.fromkeys(("gx", "gradient"), "input gradient"),
    **dict.fromkeys(("gw", "ggamma", "gslope"), "weight gradient"),
    **dict.fromkeys(("gbias", "gbeta"), "bias gradient"),
}
HEADER = ("output", "input gradient", "weight gradient", "bias gradient")


@dataclass(frozen=True)
class Setting:
    """What the layers are measured with.

    Attributes:
        algorithm: of the convolutions in float32.
        threads: of the CPU.
        steps: of training on the images before.
        noise: convolutions and fully connected layers get normal numbers for activations and gradients.
    """

    algorithm: ConvolutionAlgorithm
    threads: int
    steps: int = 0
    noise: bool = False


@dataclass(frozen=True)
class Error:
    """One result of one call.

    Attributes:
        algorithm: how the call was carried out in float32.
        result: one of HEADER.
        array: the result's name in the plan.
        error: relative L2, against float64.
        bound: of the algorithm.
        of_inputs: the error that rounding the inputs once more brings; None where nobody had to know.
        pytorch: the distance of the float64 result from PyTorch's; None without PyTorch, or its opinion.
    """

    layer: str
    algorithm: str
    result: str
    array: str
    error: float
    bound: float
    of_inputs: float | None
    pytorch: float | None

    @property
    def exceeds(self) -> bool:
        """Whether there are more roundings in it than the bound has, measured by what one of the inputs does."""
        return not self.error <= self.bound * max(1.0, (self.of_inputs or 0.0) / UNIT)

    @property
    def cancels(self) -> bool:
        """Whether only the larger bound of sums that cancel lets it pass."""
        return self.error > self.bound and not self.exceeds


def relative_error(found: Array, expected: Array) -> float:
    """The L2 norm of the difference as a share of that of what is expected; infinite where that is zero."""
    difference = float(np.linalg.norm(np.ravel(found - expected)))
    norm = float(np.linalg.norm(np.ravel(expected)))
    if difference == 0:
        return 0.0
    return difference / norm if norm else float("inf")


def errors(network: Network, images: Array, setting: Setting) -> Iterator[Error]:
    """Every result of every layer's calls in one training step.

    Args:
        network: what to compute; every output gets softmax and cross-entropy.
        images: (N, H, W, C), normalised.
        setting: how.
    """
    objectives = tuple(Objective(output, SoftmaxCrossEntropy()) for output in network.outputs)
    specification = Specification(len(images), "train", precision("float32"), objectives)
    devices = open_cpu(setting.threads, setting.algorithm), open_cpu(setting.threads, "direct")
    tested, reference = (
        Side(network, device, precision(name), specification, Sgd(momentum=0.9), seed=0)
        for device, name in zip(devices, ("float32", "float64"), strict=True)
    )
    for name, value in (("loss_scale", 1 / len(images)), ("learning_rate", 1e-3)):
        tested.state.set_control(name, value)
    draw = np.random.default_rng(0)
    labels = draw.integers(0, objectives[0].output.shape[0], len(images))
    inputs = {network.image.name: images, "labels": labels}
    for buffer in tested.program.inputs:
        tested.write(buffer, inputs[buffer.name])
    for _ in range(setting.steps):
        for call in tested.calls:
            tested.run(call)
    for call, partner in zip(tested.calls, reference.calls, strict=True):
        if call.phase == "update":
            break
        if setting.noise and call.primitive.startswith(PRODUCTS):
            for name, buffer, _ in _pairs(call.reads, partner.reads):
                if name in ("x", "gy"):
                    tested.write(buffer, draw.standard_normal(buffer.shape, np.float32))
        yield from _compare(tested, call, reference, partner, devices[0].journal)
    for device in devices:
        device.close()


def _compare(tested: Side, call: Call, reference: Side, partner: Call, journal: Journal) -> Iterator[Error]:
    """One call on both sides, from what it reads on the first."""
    reads = {name: reference.binding.array(its) for name, _, its in _pairs(call.reads, partner.reads)}
    for _, mine, its in (*_pairs(call.writes, partner.writes), *_pairs(call.reads, partner.reads)):
        np.copyto(reference.binding.array(its), tested.binding.array(mine))
    results = [pair for pair in _pairs(call.writes, partner.writes) if pair[1].dtype.kind == "f"]
    before = {name: reference.read(its) for name, _, its in results if call.settings.get("accumulate")}
    work = journal.observe(lambda: tested.run(call), otherwise=call.primitive)
    reference.run(partner)
    if call.primitive in BOOKKEEPING:
        return
    expected = {name: reference.binding.array(its) for name, _, its in results}
    found = {name: relative_error(tested.binding.array(mine), expected[name]) for name, mine, _ in results}
    bound = WINOGRAD_BOUND if "winograd" in work.algorithm else EXACT_BOUND
    distances = _distances(partner, reads, before, expected)
    beyond = any(not error <= bound for error in found.values())
    of_inputs = _errors_of_inputs(reference, partner, reads, expected) if beyond else {}
    for name, mine, _ in results:
        yield Error(
            layer=call.node,
            algorithm=work.algorithm,
            result=COLUMNS.get(name, "output"),
            array=mine.name,
            error=found[name],
            bound=bound,
            of_inputs=of_inputs.get(name),
            pytorch=distances.get(name),
        )


def _pairs(mine: Mapping[str, Argument], its: Mapping[str, Argument]) -> Iterator[tuple[str, Buffer, Buffer]]:
    """The names of arguments, and their buffers on both sides, but for scratch."""
    for name in mine:
        for one, other in zip(buffers_of({name: mine[name]}), buffers_of({name: its[name]}), strict=True):
            if one.kind != "workspace":
                yield name, one, other


def _distances(
    call: Call, reads: Mapping[str, Array], before: Mapping[str, Array], expected: Mapping[str, Array]
) -> dict[str, float]:
    """How far the float64 results are from PyTorch's, where it is installed and has them."""
    if find_spec("torch") is None:
        return {}
    opinion = pytorch_results(call, reads, before)
    return {name: relative_error(expected[name], opinion[name]) for name in expected if name in opinion}


def _errors_of_inputs(
    reference: Side, call: Call, reads: Mapping[str, Array], expected: Mapping[str, Array]
) -> dict[str, float]:
    """The errors of the call's results when what it reads is rounded to float32 once more; none of a call in place."""
    if set(buffers_of(call.reads)) & set(buffers_of(call.writes)):
        return {}
    kept = {name: values.copy() for name, values in expected.items()}
    draw = np.random.default_rng(0)
    for values in reads.values():
        if values.dtype.kind == "f":
            values *= 1 + UNIT * draw.uniform(-1, 1, values.shape)
    reference.run(call)
    return {name: relative_error(expected[name], values) for name, values in kept.items()}


def told(found: Sequence[Error]) -> str:
    """A line a layer: its worst result of each kind."""
    layers = list(dict.fromkeys(error.layer for error in found))
    compared = [error for error in found if not error.cancels]
    worst = {result: max((e.error for e in compared if e.result == result), default=0.0) for result in HEADER}
    rows = []
    for layer in layers:
        own = [error for error in found if error.layer == layer]
        cells = [_cell([error for error in own if error.result == result], worst[result]) for result in HEADER]
        rows.append((layer, *cells, ", ".join(dict.fromkeys(error.algorithm for error in own))))
    lines = [table(("layer", *HEADER, "computed by"), rows, (1, 2, 3, 4))]
    lines.append(f"bounds: {WINOGRAD_BOUND:.0e} of Winograd's algorithm, {EXACT_BOUND:.0e} of all others")
    distances = [error.pytorch for error in found if error.pytorch is not None]
    if distances:
        lines.append(f"{len(distances)} float64 results lie within {max(distances):.0e} of PyTorch's")
    else:
        lines.append("PyTorch is not installed: the reference is gpunn's float64 alone")
    wrong = [error for error in found if error.exceeds]
    lines.append(
        f"{len(wrong)} of {len(found)} results exceed their bound"
        + "".join(f"\n  {e.array}: {e.error:.1e}" for e in wrong)
    )
    return "\n".join(lines)


def _cell(errors: Sequence[Error], worst: float) -> str:
    """The worst of some results, and marks."""
    if not errors:
        return ""
    error = max(errors, key=lambda error: (error.exceeds, error.error))
    number = f"{error.error:.1e}"
    if error.cancels:
        number = f"({number})"
    return number + "*" * (error.error == worst > 0) + "!" * error.exceeds


def main(given: Sequence[str] | None = None) -> int:
    """Print the errors, and return 1 when one exceeds its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(MODELS), default="lenet")
    parser.add_argument("--batch", type=positive, default=8, help="8 by default")
    parser.add_argument("--algorithm", choices=get_args(ConvolutionAlgorithm), default="auto")
    parser.add_argument("--threads", type=positive, default=2, help="2 by default")
    parser.add_argument("--steps", type=int, default=0, help="of training on the photographs before")
    parser.add_argument("--noise", action="store_true", help="give normal numbers to what multiplies")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(given)
    chosen = model(options.network)
    network = chosen.build(chosen.image, chosen.classes)
    setting = Setting(options.algorithm, options.threads, options.steps, options.noise)
    found = list(errors(network, photographs(options.batch, chosen.image), setting))
    if options.json:
        print(json.dumps([{**asdict(error), "exceeds": error.exceeds} for error in found], indent=1))
    else:
        print(told(found))
    return 1 if any(error.exceeds for error in found) else 0


if __name__ == "__main__":
    sys.exit(main())
