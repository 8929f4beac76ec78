"""gpunn predict."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpunn.cli.options import CheckOption, DeviceOption, JsonOption, RunArgument
from gpunn.data.names import printable
from gpunn.errors import DataError

if TYPE_CHECKING:
    from gpunn.training.prediction import Answer


def predict(
    run: RunArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    device: DeviceOption = "auto",
    check: CheckOption = False,
    as_json: JsonOption = False,
) -> None:
    """Name the most likely classes of image files.

    Show a network what it was trained on: the digits are white strokes on black, and a transparent background counts
    as white. A file that cannot be read is named, the others are predicted, and the exit status is 3.

    Example:

    gpunn predict runs/lenet-digits-20261121-101500 seven.png --top 3
    """
    from gpunn.training.devices import with_check
    from gpunn.training.prediction import predict_images

    failed = False
    shown = []
    for answer in predict_images(run, images, top, with_check(device, check)):
        if answer.error is not None:
            failed = True
            print(f"error: '{printable(answer.image)}': {answer.error}", file=sys.stderr)
        elif not as_json:
            print(
                f"{printable(answer.image)}: "
                + "  ".join(f"{one.name} {one.probability:.1%}" for one in answer.predictions)
            )
        shown.append(_as_json(answer))
    if as_json:
        print(json.dumps(shown))
    if failed:
        raise typer.Exit(DataError.exit_code)


def _as_json(answer: Answer) -> dict[str, Any]:
    if answer.error is not None:
        return {"image": str(answer.image), "error": answer.error}
    predictions = [{"class": one.name, "probability": one.probability} for one in answer.predictions]
    return {"image": str(answer.image), "predictions": predictions}
