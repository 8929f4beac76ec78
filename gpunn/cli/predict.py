"""gpunn predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gpunn.cli.options import CheckOption, DeviceOption, JsonOption, RunArgument


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
    as white.

    Example:

    gpunn predict runs/lenet-digits-20261121-101500 seven.png --top 3
    """
    from gpunn.training.devices import with_check
    from gpunn.training.prediction import predict_images

    found = predict_images(run, images, top, with_check(device, check))
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "image": str(path),
                        "predictions": [{"class": p.name, "probability": p.probability} for p in predictions],
                    }
                    for path, predictions in found
                ]
            )
        )
        return
    for path, predictions in found:
        print(f"{path}: " + "  ".join(f"{p.name} {p.probability:.1%}" for p in predictions))
