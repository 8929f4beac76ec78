"""The command line: one file a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def main() -> None:
    """Run the command that the arguments name, and exit with its status: see gpunn.errors."""
    import sys

    try:
        status = _run(sys.argv[1:])
    except KeyboardInterrupt:
        # Pressed while modules are imported.
        status = 130
    sys.exit(status)


def _run(arguments: Sequence[str]) -> int:
    """A command line, and the diagnosis even where libraries are missing or broken."""
    import sys

    is_diagnosis = arguments[:1] == ["doctor"]
    try:
        run = _diagnosis() if is_diagnosis else _application()
    except Exception as error:
        if is_diagnosis:
            from gpunn.diagnosis.__main__ import main as diagnose

            return diagnose()
        from gpunn.diagnosis.reason import reason

        print(f"error: gpunn cannot start ({reason(error)}); gpunn doctor says what mends it", file=sys.stderr)
        return 1
    return run(arguments)


def _application() -> Callable[[Sequence[str]], int]:
    from gpunn.cli.application import run

    return run


def _diagnosis() -> Callable[[Sequence[str]], int]:
    from gpunn.cli.doctor import run_alone

    return lambda arguments: run_alone(arguments[1:])
