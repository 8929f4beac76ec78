"""The command line: one file a command."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and exit with its status: see gpunn.errors."""
    import sys

    try:
        from gpunn.cli.application import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        # Pressed while modules are imported.
        status = 130
    sys.exit(status)
