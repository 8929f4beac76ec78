"""All commands in one application, and what their errors look like: one readable line and an exit status."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import typer

from gpunn.cli.augmentations import augmentations
from gpunn.cli.check_gradients import check_gradients
from gpunn.cli.compare import compare
from gpunn.cli.data import data_application
from gpunn.cli.doctor import doctor
from gpunn.cli.evaluate import evaluate
from gpunn.cli.explain import explain
from gpunn.cli.kernels import kernels
from gpunn.cli.models import models
from gpunn.cli.predict import predict
from gpunn.cli.show import show
from gpunn.cli.summary import summary
from gpunn.cli.time import time
from gpunn.cli.train import train
from gpunn.errors import GpunnError, MemoryExhaustedError, UsageError
from gpunn.training.trainer import TrainingInterrupted

INTERRUPTED = 130
BROKEN_PIPE = 141


def application() -> typer.Typer:
    """The commands."""
    app = typer.Typer(
        name="gpunn",
        help="Train convolutional networks on hand-written CUDA kernels, with a NumPy backend beside them.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    commands = (
        train,
        evaluate,
        predict,
        show,
        summary,
        explain,
        time,
        models,
        augmentations,
        check_gradients,
        compare,
        kernels,
        doctor,
    )
    for command in commands:
        app.command()(command)
    app.add_typer(data_application())
    app.callback(invoke_without_command=True)(_without_command)
    return app


def _without_command(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and leave.")
) -> None:
    if version:
        import gpunn

        print(f"gpunn {gpunn.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Execute one command line and give its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names may hold bytes that no encoding knows.
            stream.reconfigure(errors="backslashreplace")
    # What matplotlib tells of its cache, in a home that cannot be written to, is no use to who runs a command.
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return _run(arguments)
    finally:
        logger.setLevel(level)


def _run(arguments: Sequence[str]) -> int:
    try:
        status = application()(args=list(arguments), prog_name="gpunn", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except TrainingInterrupted as interruption:
        return interruption.exit_code
    except GpunnError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except MemoryError:
        return _fail("out of memory; use a smaller --batch-size", MemoryExhaustedError.exit_code)
    except (BrokenPipeError, SystemExit):
        # Whoever read the output has left; the parser turns that into SystemExit when a command meets it first.
        sys.stdout = None
        return BROKEN_PIPE
    except Exception as error:
        # The parser's own errors know how to say what is wrong with an argument.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        text = message().strip()
        sentence = text if text.endswith(("?", ".")) else f"{text}."
        return _fail(
            f"{sentence} Try --help." if text else "this command needs more; try --help.", UsageError.exit_code
        )


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line, without the place in the program that it comes from."""
    print(f"warning: {message}", file=sys.stderr)


def _fail(text: str, status: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return status
