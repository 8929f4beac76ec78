"""gpunn check-gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import ClassesOption, InputOption, ModelArgument, parse_shape

if TYPE_CHECKING:
    from gpunn.program.gradient_check import GradientCheck

#: The largest relative error that counts as right.
TOLERANCE = 1e-6


def check_gradients(
    model: ModelArgument,
    image: InputOption = None,
    classes: ClassesOption = None,
    batch: Annotated[int, typer.Option(min=1, help="Images.")] = 2,
    samples: Annotated[int, typer.Option(min=1, help="Elements of each parameter.")] = 3,
    seed: Annotated[int, typer.Option(help="Of weights, images and choice.")] = 0,
) -> None:
    """Compare a network's gradients with finite differences in float64; exit status 1 when they differ.

    Example:

    gpunn check-gradients lenet --samples 10
    """
    from gpunn.backend.cpu.device import open_cpu
    from gpunn.models import model as find_model
    from gpunn.program.gradient_check import GradientChecker

    chosen = find_model(model)
    shape = parse_shape(image) if image is not None else chosen.image
    network = chosen.build(shape, classes or chosen.classes)
    device = open_cpu()
    try:
        checker = GradientChecker(network, device, batch, seed)
        print(f"{'parameter':24}  {'samples':>7}  {'at kinks':>8}  {'relative error':>14}")
        wrong = 0
        for result in checker.run(samples):
            wrong += not result.agrees(TOLERANCE)
            line = f"{result.name:24}  {result.samples:7d}  {result.kinks:8d}  {result.error:14.2e}  {_verdict(result)}"
            print(line.rstrip(), flush=True)
    finally:
        device.close()
    if wrong:
        print(f"{wrong} parameters differ by more than {TOLERANCE:.0e}, or have no gradient")
        raise typer.Exit(1)
    print(f"all gradients agree to {TOLERANCE:.0e}")


def _verdict(result: GradientCheck) -> str:
    """What a person has to know about a line; nothing when the gradient is right."""
    if result.samples == 0 and result.kinks == 0:
        return "NO GRADIENT" if result.trained else "frozen"
    return "" if result.agrees(TOLERANCE) else "WRONG"
