"""gpunn data: the commands that make and check data sets."""

from __future__ import annotations

import typer


def data_application() -> typer.Typer:
    """The commands below `gpunn data`."""
    app = typer.Typer(name="data", help="Make and check data sets.", rich_markup_mode=None)
    app.callback(invoke_without_command=True)(_without_command)
    return app


def _without_command(context: typer.Context) -> None:
    """Make and check data sets."""
    if context.invoked_subcommand is None:
        print(context.get_help())
