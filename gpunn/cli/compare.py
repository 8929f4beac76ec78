"""gpunn compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import ClassesOption, InputOption, JsonOption, ModelArgument, parse_shape
from gpunn.cli.table import table
from gpunn.errors import UsageError

if TYPE_CHECKING:
    from gpunn.program.comparison import Comparison


def compare(
    model: ModelArgument,
    devices: Annotated[
        str, typer.Option(help="The reference and the device to test, such as emulator:check.")
    ] = "cpu,emulator",
    precision: Annotated[
        str, typer.Option(help="Of the tested device: float32, tf32, bfloat16, float16 or float64.")
    ] = "float32",
    image: InputOption = None,
    classes: ClassesOption = None,
    batch: Annotated[int, typer.Option(min=1, help="Images.")] = 2,
    seed: Annotated[int, typer.Option(help="Of weights, images and labels.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run one training step on two devices, call by call, and compare every result; exit status 1 when one is wrong.

    Each call gets the same inputs on both devices, so an error is the call's own. The reference computes in float64
    where it can; the bound is what rounding to the tested precision may do to the definition's products, so a CPU
    convolves directly. Example:

    gpunn compare lenet --devices cpu,emulator --precision bfloat16
    """
    from gpunn.models import model as find_model
    from gpunn.program.comparison import compare_devices
    from gpunn.training.devices import check_precision, open_device

    names = devices.split(",")
    if len(names) != 2 or not all(names):
        raise UsageError(f"--devices {devices!r} is not two devices, such as cpu,emulator")
    chosen = find_model(model)
    shape = parse_shape(image) if image is not None else chosen.image
    network = chosen.build(shape, classes or chosen.classes)
    (reference, _), (tested, _) = (open_device(name, algorithm="direct") for name in names)
    try:
        number_types = check_precision(precision, tested)
        results = list(compare_devices(network, reference, tested, number_types, batch, seed))
    finally:
        reference.close()
        tested.close()
    wrong = [result for result in results if not result.share <= 1]
    if as_json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        _print(results, wrong, precision)
    if wrong:
        raise typer.Exit(1)


def _print(results: Sequence[Comparison], wrong: Sequence[Comparison], precision: str) -> None:
    """One line for each layer and phase: its worst result."""
    worst: dict[tuple[str, str], Comparison] = {}
    for result in results:
        known = worst.setdefault((result.node, result.phase), result)
        if not known.share >= result.share:
            worst[result.node, result.phase] = result
    rows = [
        (result.node, result.phase, result.primitive, result.result, f"{result.error:.2e}", f"{result.share:.3f}")
        for result in worst.values()
    ]
    print(table(("layer", "phase", "call", "result", "largest error", "of its bound"), rows, (4, 5)))
    print("the worst result of each layer and phase; all of them with --json")
    print("of its bound: the error over what rounding may add up to at worst; up to 1 a result is right")
    if wrong:
        first = wrong[0]
        print(
            f"{len(wrong)} results exceed their bound; the first is '{first.result}' of {first.primitive} in "
            f"'{first.node}', {first.share:.3g} times its bound"
        )
    else:
        print(f"all {len(results)} results lie within the rounding of {precision}")
