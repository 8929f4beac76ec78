"""gpunn evaluate."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from gpunn.cli.options import CheckOption, DeviceOption, JsonOption, RunArgument


def evaluate(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Option(help="Other images than the run's validation half: a folder, an .npz file, or digits.")
    ] = None,
    device: DeviceOption = "auto",
    check: CheckOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the best checkpoint of a run on its validation images, or on others.

    Example:

    gpunn evaluate runs/lenet-digits-20261121-101500 --json
    """
    from gpunn.training.devices import with_check
    from gpunn.training.evaluation import evaluate_run

    evaluation = evaluate_run(run, data, with_check(device, check))
    result = evaluation.totals
    for note in evaluation.notes:
        print(f"note: {note}", file=sys.stderr)
    if as_json:
        print(
            json.dumps(
                {
                    "top1": result.top1_rate,
                    "top5": result.top5_rate,
                    "loss": result.mean_loss,
                    "images": int(result.images),
                }
            )
        )
        return
    print(
        f"top-1 {result.top1_rate:.2%}  top-5 {result.top5_rate:.2%}  loss {result.mean_loss:.4f}  "
        f"on {int(result.images):,} images"
    )
