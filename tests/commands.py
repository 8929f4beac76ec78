"""The commands and programs on a page of Markdown, and a shell that runs them as a reader would.

A block of commands is fenced as `console`; its lines that begin with "$ " are commands, and lines that begin with "> "
go on with them. A block is marked by a class, as `:class: needs-gpu` below ```` ```{code-block} console ````, or by a
comment `<!-- needs-gpu -->` on the line before it. Blocks fenced as `python` make one program, in their order.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: What a machine may lack on which the tests run.
NEEDS = frozenset({"needs-gpu", "needs-docker", "needs-pytorch"})
#: A block that trains for longer than a test may; here runs have an epoch, few pictures are made, and times are
#: taken for a second.
TAKES_MINUTES = "takes-minutes"
#: A part of a program that is shown alone; it is not run.
EXCERPT = "excerpt"
#: Marks that a block may bear.
MARKS = NEEDS | {TAKES_MINUTES, EXCERPT}
#: Whoever runs the tests has installed the package.
INSTALLATION = ("pip install", "python3 -m venv", ". .venv/bin/activate")

_FENCE = re.compile(
    r"(?:^[ ]*<!--(?P<comment>[^\n]*)-->\n)?"
    r"^(?P<indentation>[ ]*)(?P<fence>`{3,}|:{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^[ ]*(?P=fence)[ ]*$",
    flags=re.M | re.S,
)
_OPTION = re.compile(r":(?P<name>[\w-]+):[ ]*(?P<value>.*)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: what is fenced: console, python ...
        text: the block without its fence and options.
        line: of the page, from 1, on which the text begins.
        marks: the classes that it bears, those of `MARKS` among them.
    """

    language: str
    text: str
    line: int
    marks: frozenset[str] = field(default_factory=frozenset)

    @property
    def commands(self) -> list[str]:
        """The commands as they are typed; one that goes on over lines is one string."""
        found: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(line[2:])
            elif line.startswith("> ") and found:
                found[-1] += f"\n{line[2:]}"
        return found


def blocks_of(page: str) -> list[Block]:
    """All fenced blocks of a page, those within notes and the like included."""
    return list(_blocks(page, 1))


def _blocks(text: str, first_line: int) -> Sequence[Block]:
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        line = first_line + text.count("\n", 0, match.start("body"))
        directive, _, argument = match["info"].strip().partition(" ")
        body = textwrap.dedent(match["body"])
        if not directive.startswith("{"):
            found.append(Block(directive, body, line, frozenset((match["comment"] or "").split())))
            continue
        marks: set[str] = set()
        while option := _OPTION.match(body):
            if option["name"] == "class":
                marks.update(option["value"].split())
            body = body[option.end() :]
            line += 1
        if directive == "{code-block}":
            content = body.lstrip("\n")
            line += len(body) - len(content)
            found.append(Block(argument.strip(), content, line, frozenset(marks)))
        else:
            found.extend(_blocks(body, line))
    return found


def commands_to_run(block: Block) -> list[str]:
    """What a test runs of a block: all that installs nothing, and less of what takes minutes."""
    if block.language != "console" or block.marks & NEEDS:
        return []
    parts = [part.strip() for command in block.commands for part in command.split(" && ")]
    commands = [part for part in parts if not part.startswith(INSTALLATION)]
    return [shortened(command) for command in commands] if TAKES_MINUTES in block.marks else commands


def shortened(command: str) -> str:
    """A command that trains, for one epoch; one that makes pictures, with few; one that times, for a moment."""
    command = re.sub(r"^(gpunn train\b[^#\n]*?)(\s*(?:#.*)?)$", r"\1 --epochs 1\2", command)
    command = re.sub(r"^(gpunn time\b[^#\n]*?)(\s*(?:#.*)?)$", r"\1 --seconds 1 --batch 2\2", command)
    return re.sub(r"^(gpunn data synthesize .*--images) \d+", r"\1 60", command)


def program_of(blocks: Sequence[Block]) -> str:
    """The Python of a page as one program, every line at its number on the page."""
    program = ""
    for block in blocks:
        if block.language == "python" and EXCERPT not in block.marks:
            program += "\n" * (block.line - 1 - program.count("\n")) + block.text
    return program


def run(commands: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run commands in one shell, in a folder that has the repository's docs, examples and kernels.

    Args:
        commands: run in order, up to the first that fails.
        folder: where they run.
        environment: variables to add.

    Returns:
        What they printed.

    Raises:
        AssertionError: one failed; the text has the commands up to it and what they printed.
    """
    for name in ("docs", "examples", "kernels"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euv", "-o", "pipefail", "-c", "\n".join(commands)],
        cwd=folder,
        env={**os.environ, "PATH": path, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout
