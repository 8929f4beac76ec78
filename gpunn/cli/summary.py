"""gpunn summary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import (
    AlgorithmOption,
    ClassesOption,
    InputOption,
    JsonOption,
    ModelArgument,
    parse_algorithm,
    parse_shape,
)
from gpunn.errors import UsageError

if TYPE_CHECKING:
    from gpunn.backend.attributes import ConvolutionAlgorithm
    from gpunn.program.program import ProgramPlan


def summary(
    model: ModelArgument,
    image: InputOption = None,
    classes: ClassesOption = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Images at a time, for the memory of training, and for --algorithms.")
    ] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Print the training program with its buffers.")] = False,
    algorithms: Annotated[
        bool, typer.Option("--algorithms", help="Print how a CPU would convolve, layer by layer.")
    ] = False,
    algorithm: AlgorithmOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Describe a network layer by layer: shapes, parameters, FLOPs (two per multiply-add), receptive fields.

    Example:

    gpunn summary alexnet --batch 128 --plan
    """
    from gpunn.cli.table import table
    from gpunn.graph import describe_shape
    from gpunn.models import model as find_model
    from gpunn.program.describe import describe_program
    from gpunn.training.budget import training_budget

    if (plan or algorithms) and as_json:
        raise UsageError(f"--{'plan' if plan else 'algorithms'} prints text; leave out --json")
    computed_by = parse_algorithm(algorithm)
    chosen = find_model(model)
    shape = parse_shape(image) if image is not None else chosen.image
    network = chosen.build(shape, classes or chosen.classes)
    budget = training_budget(network, batch, chosen.recipe)
    rows = network.summary()
    if as_json:
        print(
            json.dumps(
                {
                    "model": chosen.name,
                    "input": list(shape),
                    "parameters": network.parameter_count,
                    "flops": network.flops,
                    "training_memory_bytes": budget.total,
                    "layers": [
                        {
                            "name": row.name,
                            "type": row.type,
                            "output": list(row.output),
                            "parameters": row.parameters,
                            "flops": row.flops,
                            "receptive_field": row.receptive_field,
                        }
                        for row in rows
                    ],
                }
            )
        )
        return
    cells = [
        (
            row.name,
            row.type,
            describe_shape(row.output),
            f"{row.parameters:,}",
            f"{row.flops:,}",
            str(row.receptive_field or ""),
        )
        for row in rows
    ]
    print(f"{chosen.name} for images of {describe_shape(shape)}")
    print(table(("layer", "type", "output", "parameters", "FLOPs", "field"), cells, numbers=(3, 4, 5)))
    print(f"parameters {network.parameter_count:,}   FLOPs of one image {network.flops:,}")
    print(
        f"memory of training with batch {batch}: {budget.total / 2**20:,.1f} MiB "
        f"({budget.program.memory.total / 2**20:,.1f} activations and scratch, {budget.state / 2**20:,.1f} weights, "
        "gradients and optimiser)"
    )
    if algorithms:
        print()
        print(_algorithms(budget.program, computed_by))
    if plan:
        print()
        print(describe_program(budget.program, budget.update))


def _algorithms(program: ProgramPlan, algorithm: ConvolutionAlgorithm) -> str:
    """A line for each convolution: its shape, and what computes its passes on a CPU, as far as training has them."""
    from gpunn.backend.cpu.convolution_algorithms.choosing import ALGORITHMS, in_order
    from gpunn.cli.table import table
    from gpunn.layers import Conv2d

    calls = {(call.node, call.primitive) for call in program.calls}
    rows = []
    for node, label in program.network.labels.items():
        if isinstance(node.layer, Conv2d):
            geometry = node.layer.geometry(program.specification.batch, node.inputs[0].shape)
            asked = algorithm if node.layer.algorithm == "auto" else node.layer.algorithm
            shape = f"{geometry.H}x{geometry.W}x{geometry.C}, {geometry.R}x{geometry.S}, {geometry.K}"
            chosen = (
                in_order(ways, geometry, asked)[0].name if (label, primitive) in calls else ""
                for primitive, ways in ALGORITHMS.items()
            )
            rows.append((label, shape, *chosen))
    return table(("convolution", "input, filter, filters", "forward", "backward data", "backward filter"), rows)
