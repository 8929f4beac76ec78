"""gpunn evaluate."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from gpunn.cli.options import CheckOption, DeviceOption, JsonOption, RunArgument
from gpunn.data.names import counted
from gpunn.errors import UsageError


def evaluate(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Option(help="Other images than the run's validation half; what gpunn train --data takes.")
    ] = None,
    crops: Annotated[
        int,
        typer.Option(help="1 looks at the centre of an image; 10 averages over the corners, the centre and mirrors."),
    ] = 1,
    device: DeviceOption = "auto",
    check: CheckOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the best checkpoint of a run on its validation images, or on others.

    Ten crops are AlexNet's test: the mean of the probabilities that softmax gives for each of them.

    Example:

    gpunn evaluate runs/lenet-digits-20261121-101500 --json
    """
    from gpunn.training.devices import with_check
    from gpunn.training.evaluation import evaluate_run
    from gpunn.training.ten_crop import CROPS

    if crops not in (1, CROPS):
        raise UsageError(f"--crops is 1 or {CROPS}, not {crops}")
    evaluation = evaluate_run(run, data, with_check(device, check), ten_crops=crops == CROPS)
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
    # Of five classes or fewer, all are among the five.
    top5 = f"top-5 {result.top5_rate:.2%}  " if evaluation.classes > 5 else ""
    images = counted(int(result.images), "image", "images")
    print(f"top-1 {result.top1_rate:.2%}  {top5}loss {result.mean_loss:.4f}  on {images}")
    print(f"weights of epoch {evaluation.epochs}{f', {CROPS} crops of every image' if crops == CROPS else ''}")
