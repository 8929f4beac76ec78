"""gpunn time."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import AlgorithmOption, ClassesOption, InputOption, ModelArgument, parse_algorithm, parse_shape
from gpunn.errors import UsageError

if TYPE_CHECKING:
    from gpunn.timing.contestant import Task
    from gpunn.timing.measure import Progress
    from gpunn.timing.report import TimingReport

#: The file that stands for standard output.
STANDARD_OUTPUT = Path("-")


def time(
    model: ModelArgument,
    devices: Annotated[
        str | None,
        typer.Option(help="Such as cpu,cuda:1 or cpu,emulator; the CPU and a GPU, if there is one, by default."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images of a step; the recipe's by default, fewer where a CPU takes part.")
    ] = None,
    precision: Annotated[str, typer.Option(help="float32, tf32, bfloat16, float16 or float64.")] = "float32",
    layers: Annotated[bool, typer.Option("--layers", help="Time every layer, too.")] = False,
    compare: Annotated[str | None, typer.Option(metavar="pytorch", help="Time PyTorch on the same devices.")] = None,
    algorithm: AlgorithmOption = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU; all cores by default.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long to measure, after the warm-up.")] = 30.0,
    image: InputOption = None,
    classes: ClassesOption = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there; - prints them alone.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them there: PNG, SVG or PDF.")] = None,
) -> None:
    """Time training and inference on several devices, in turn: images/s, and what every layer takes.

    A step takes pictures from the host's memory, and ends with new weights. Ceilings are a large product and a large
    copy, measured in the same run; the share of a layer is the time that they imply over the time that it took.

    Example:

    gpunn time lenet --devices cpu --layers --seconds 5
    """
    from gpunn.cli.time_tables import tables
    from gpunn.precision import precision as find_precision
    from gpunn.timing.load import machine_load
    from gpunn.timing.measure import Extent, measure
    from gpunn.timing.opening import devices_there, open_sides

    if compare not in (None, "pytorch"):
        raise UsageError(f"--compare {compare!r} is not known; it may be pytorch")
    computed_by = parse_algorithm(algorithm)
    load = machine_load()
    _require_writable("--json", as_json)
    _require_chart(plot)
    names, left_out = (_names(devices), {}) if devices is not None else devices_there(find_precision(precision).name)
    task = replace(_task(model, names, batch, precision, image, classes), algorithm=computed_by)
    with open_sides(task, names, threads, with_pytorch=compare is not None) as sides, _Bar() as bar:
        report = measure(task, sides.contestants, Extent(seconds, layers), bar.show, sides.cores, load)
    if as_json != STANDARD_OUTPUT:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(tables(report, width))
        for device, reason in left_out.items():
            print(f"{device} is left out: {reason}")
    if as_json is not None:
        _write(report, as_json)
    if plot is not None:
        from gpunn.timing.charts import draw_chart

        draw_chart(report, plot)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"--devices {text!r} is not one device or several different ones, such as cpu,cuda")
    return names


def _task(
    name: str, devices: tuple[str, ...], batch: int | None, precision: str, image: str | None, classes: int | None
) -> Task:
    from gpunn.models import model as find_model
    from gpunn.precision import precision as find_precision
    from gpunn.timing.batch_size import usual_batch
    from gpunn.timing.contestant import Task

    chosen = find_model(name)
    shape = parse_shape(image) if image is not None else chosen.image
    count = classes or chosen.classes
    network = chosen.build(shape, count)
    return Task(chosen, batch or usual_batch(chosen, network, devices), find_precision(precision).name, shape, count)


def _require_writable(option: str, path: Path | None) -> None:
    """Measuring takes too long to find out afterwards."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}; make it first")


def _require_chart(path: Path | None) -> None:
    _require_writable("--plot", path)
    if path is not None:
        from gpunn.timing.charts import chart_format

        chart_format(path)


def _write(report: TimingReport, path: Path) -> None:
    text = json.dumps(report.as_json(), indent=1)
    if path == STANDARD_OUTPUT:
        print(text)
        return
    try:
        path.write_text(text + "\n")
    except OSError as error:
        raise UsageError(f"--json {path} cannot be written ({error.strerror})") from None


class _Bar:
    """Rounds that are done, on standard error; nothing without a terminal."""

    def __enter__(self) -> _Bar:
        from tqdm import tqdm

        self._bar = tqdm(desc="warming up", leave=False, dynamic_ncols=True, disable=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    @property
    def show(self) -> Progress:
        """What is told of every round."""
        return self._show

    def _show(self, done: int, rounds: int) -> None:
        self._bar.set_description("measuring", refresh=False)
        self._bar.total = rounds
        self._bar.n = done
        self._bar.refresh()
