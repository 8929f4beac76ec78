"""gpunn doctor."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gpunn.cli.options import JsonOption
from gpunn.errors import UsageError

_INTERRUPTED = 130
_BROKEN_PIPE = 141
_DEVICES = re.compile(r"auto|cpu|emulator|cuda(:\d+)?")


def doctor(
    device: Annotated[
        str, typer.Option(help="What has to work: auto, cpu, cuda, cuda:1 or emulator. With cuda, no GPU is a problem.")
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Examine this machine: Python, libraries, threads, GPU, driver, CuPy, compiler, cache, disk and clock.

    Each line is ok, a warning or a problem, with the command that mends it. The exit status is 1 when there is a
    problem.

    Example:

    gpunn doctor --device cuda
    """
    from gpunn.diagnosis.examination import examine
    from gpunn.diagnosis.machine import this_machine
    from gpunn.diagnosis.report import as_json as findings_as_json
    from gpunn.diagnosis.report import as_text, problems, wants_colour

    if not _DEVICES.fullmatch(device):
        raise UsageError(f"--device {device!r} is not auto, cpu, cuda, cuda:N or emulator")
    findings = examine(this_machine(), device)
    if as_json:
        print(json.dumps(findings_as_json(findings)))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(as_text(findings, colour=wants_colour(sys.stdout, os.environ), width=width))
    if problems(findings):
        raise typer.Exit(1)


def run_alone(arguments: Sequence[str]) -> int:
    """This command without all others, whose libraries may be what is broken; gives the exit status."""
    application = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    application.command()(doctor)
    try:
        status = application(args=list(arguments), prog_name="gpunn doctor", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except typer.Abort:
        return _INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Whoever read the output has left.
        sys.stdout = None
        return _BROKEN_PIPE
    except UsageError as error:
        return _wrong_use(str(error))
    except Exception as error:
        # The parser's own errors know how to say what is wrong with an argument.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        return _wrong_use(f"{message().rstrip('.')}. Try --help.")


def _wrong_use(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return UsageError.exit_code
