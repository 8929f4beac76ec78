"""gpunn data: the commands that make and check data sets."""

from __future__ import annotations

import typer

from gpunn.cli.data_check import check
from gpunn.cli.data_pack import pack
from gpunn.cli.data_synthesize import synthesize


def data_application() -> typer.Typer:
    """The commands below `gpunn data`."""
    app = typer.Typer(name="data", help="Make and check data sets.", rich_markup_mode=None)
    for command in (check, pack, synthesize):
        app.command()(command)
    app.callback(invoke_without_command=True)(_without_command)
    return app


def _without_command(context: typer.Context) -> None:
    """Make and check data sets."""
    if context.invoked_subcommand is None:
        print(context.get_help())
