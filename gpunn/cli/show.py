"""gpunn show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import DeviceOption, RunArgument
from gpunn.data.names import printable
from gpunn.errors import UsageError

if TYPE_CHECKING:
    from gpunn.training.trained_run import TrainedRun
    from gpunn.visualization.page import Page


@dataclass(frozen=True)
class _Wishes:
    """What the command line asks for."""

    filters: bool
    activations: Path | None
    grad_cam: Path | None
    errors: bool
    class_name: str | None
    layer: str | None
    data: str | None
    count: int | None


def show(
    run: RunArgument,
    filters: Annotated[bool, typer.Option("--filters", help="The filters of the first layer.")] = False,
    activations: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="What every layer makes of an image.")
    ] = None,
    grad_cam: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="The parts of an image that speak for a class.")
    ] = None,
    errors: Annotated[
        bool,
        typer.Option(
            "--errors", help="The worst mistakes on the validation images, a list of all, and the confusion matrix."
        ),
    ] = False,
    class_name: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME|N", help="With --grad-cam: this class instead of the most likely one."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Filters, channels or Grad-CAM of this layer; gpunn summary lists them.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="With --errors: other images than the run's validation half.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many filters, channels of a layer, or mistakes to draw at most.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the pictures go; default RUN/pictures.")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Write pictures of what a run has learned, and print where they lie.

    An image is read as the validation images are. Grad-CAM (Selvaraju et al., 2017) is of the last convolution.

    Example:

    gpunn show runs/lenet-digits-20261121-101500 --filters --grad-cam seven.png --errors
    """
    wishes = _Wishes(filters, activations, grad_cam, errors, class_name, layer, data, count)
    _require_something(wishes)
    from gpunn.drawing import require_drawing
    from gpunn.training.trained_run import load_run
    from gpunn.visualization.page import write_pages

    require_drawing("gpunn show")
    trained = load_run(run, device)
    if trained.note is not None:
        print(f"note: {trained.note}", file=sys.stderr)
    folder = out or (run if run.is_dir() else run.parent) / "pictures"
    for path in write_pages(_pages(trained, run, wishes), folder):
        print(printable(path))


def _require_something(wishes: _Wishes) -> None:
    if not (wishes.filters or wishes.activations or wishes.grad_cam or wishes.errors):
        raise UsageError("say what to show: --filters, --activations IMAGE, --grad-cam IMAGE or --errors")
    if wishes.class_name is not None and wishes.grad_cam is None:
        raise UsageError("--class is the class of --grad-cam IMAGE; give both")
    if wishes.data is not None and not wishes.errors:
        raise UsageError("--data names the images of --errors; give both")
    if wishes.layer is not None and not (wishes.filters or wishes.activations or wishes.grad_cam):
        raise UsageError("--layer goes with --filters, --activations IMAGE or --grad-cam IMAGE")


def _pages(trained: TrainedRun, run: Path, wishes: _Wishes) -> Iterator[Page]:
    from gpunn.visualization.activations import activation_page
    from gpunn.visualization.filters import filter_bank, filter_page
    from gpunn.visualization.grad_cam_page import grad_cam_page
    from gpunn.visualization.run_view import see

    learner = trained.learner
    if wishes.filters:
        yield filter_page(filter_bank(learner, wishes.layer), learner.network.name, wishes.count)
    if wishes.activations is not None:
        yield activation_page(trained, see(trained, wishes.activations), wishes.layer, wishes.count)
    if wishes.grad_cam is not None:
        yield grad_cam_page(trained, see(trained, wishes.grad_cam), wishes.class_name, wishes.layer)
    if wishes.errors:
        yield from _pages_of_errors(trained, run, wishes)


def _pages_of_errors(trained: TrainedRun, run: Path, wishes: _Wishes) -> Iterator[Page]:
    from gpunn.visualization.confusion_page import confusion_page
    from gpunn.visualization.mistakes import examine_run
    from gpunn.visualization.mistakes_page import MISTAKES, mistakes_page, mistakes_table

    name = trained.learner.network.name
    examination, dataset = examine_run(trained, run, wishes.data, wishes.count or MISTAKES)
    left_out = len(dataset) - examination.images
    if left_out:
        print(f"note: {left_out:,} of {len(dataset):,} images cannot be read and are left out", file=sys.stderr)
    yield mistakes_page(examination, trained.classes, dataset, name)
    yield mistakes_table(examination, trained.classes, dataset)
    yield confusion_page(examination, trained.classes, name)
