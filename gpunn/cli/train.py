"""gpunn train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gpunn.cli.options import AlgorithmOption, CheckOption, DeviceOption


def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Option(
            help="digits, fashion-mnist, a folder of class folders, tar shards, IDX or NPY arrays, or a packed file."
        ),
    ] = "digits",
    model: Annotated[str, typer.Option(help="A name from gpunn models.")] = "lenet",
    device: DeviceOption = "auto",
    check: CheckOption = False,
    precision: Annotated[
        str, typer.Option(help="float32; float64 on the CPU; tf32, bfloat16 or float16 on CUDA and the emulator.")
    ] = "float32",
    algorithm: AlgorithmOption = "auto",
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images; with --resume, more than the run had.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in one pass through the network.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Passes whose gradients make one update.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam, adamw, rmsprop or adagrad.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Learning rate before the schedule.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="constant, cosine, step:30,0.1, exponential:0.05, warmup:2,cosine ...")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order, augmentation and dropout.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without improvement that end the run.")] = None,
    augmentation: Annotated[
        str | None,
        typer.Option(
            help="auto, none, digits, photographs or alexnet; gpunn augmentations lists them, and what --set takes."
        ),
    ] = None,
    decoder: Annotated[str | None, typer.Option(help="auto, pillow or fast (the extra of that name).")] = None,
    workers: Annotated[int | None, typer.Option(help="How many read images; default: one for each core.")] = None,
    unreadable: Annotated[
        str | None,
        typer.Option(help="What is done about an image that cannot be read: raise, skip, or skip and quarantine."),
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Images to leave out, from gpunn data check --quarantine.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/MODEL-DATA-TIME.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with a run.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Settings; options go before them.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of config.toml.")
    ] = None,
    allow_changed_data: Annotated[
        bool, typer.Option(help="With --resume: go on although the data set has changed.")
    ] = False,
) -> None:
    """Train a network and write checkpoints, metrics and curves into a run folder.

    What is not given comes from the model's recipe. Example:

    gpunn train --data flowers/ --model vgg11-bn-cifar --epochs 30 --lr 0.05 --set label_smoothing=0.1
    """
    from gpunn.cli.training_session import start
    from gpunn.training.devices import with_check

    options: dict[str, Any] = {
        "data": data,
        "model": model,
        "device": with_check(device, check),
        "precision": precision,
        "algorithm": algorithm,
        "epochs": epochs,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "seed": seed,
        "patience": patience,
        "augmentation": augmentation,
        "decoder": decoder,
        "workers": workers,
        "unreadable": unreadable,
        "quarantine": quarantine and str(quarantine),
    }
    given = {name for name in options if _is_given(context, name)}
    start(
        {name: value for name, value in options.items() if name in given},
        config=config,
        assignments=settings or [],
        out=out,
        resume=resume,
        allow_changed_data=allow_changed_data,
    )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
