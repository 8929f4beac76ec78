"""The command line: one file a command."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and exit with the status of conventions: see gpunn.errors."""
    import sys

    from gpunn.cli.application import run

    sys.exit(run(sys.argv[1:]))
