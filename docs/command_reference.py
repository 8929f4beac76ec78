"""The reference of all commands as Markdown, made of what `--help` prints; nothing of it is typed twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from gpunn.cli.application import application


def command_reference() -> str:
    """A section for each command: what it does, its arguments and options with their defaults, and its examples."""
    commands = dict(_commands(typer.main.get_command(application()), "gpunn"))
    names = re.compile("|".join(sorted(map(re.escape, commands), key=len, reverse=True)))
    return "\n\n".join(_section(name, command, names) for name, command in commands.items()) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    else:
        for part, subcommand in inner.items():
            yield from _commands(subcommand, f"{name} {part}")


def _section(name: str, command: Any, names: re.Pattern[str]) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    pieces = " ".join(command.collect_usage_pieces(context))
    return "\n\n".join(
        [
            f"## {name}",
            f"```text\n{name} {pieces}\n```",
            *_description(command.help or "", names),
            *(_parameter(parameter, context, names) for parameter in command.params),
        ]
    )


def _description(text: str, names: re.Pattern[str]) -> Iterator[str]:
    """The paragraphs of a docstring; those that are commands become a block, apart those that name a GPU."""
    examples: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if names.match(paragraph):
            examples.append(f"$ {' '.join(paragraph.split())}")
        else:
            yield _prose(" ".join(paragraph.split()), names)
    here = [example for example in examples if "cuda" not in example]
    if here:
        yield "\n".join(["```console", *here, "```"])
    if elsewhere := [example for example in examples if example not in here]:
        yield "\n".join(["```{code-block} console", ":class: needs-gpu", "", *elsewhere, "```"])


def _parameter(parameter: Any, context: Any, names: re.Pattern[str]) -> str:
    spelling, text = parameter.get_help_record(context)
    return f"`{spelling}`\n: {_prose(text, names) or 'Required.'}"


def _prose(text: str, names: re.Pattern[str]) -> str:
    """Text as Markdown: options and commands as code, everything else as it stands."""
    code = re.compile(rf"(?<![\w-])(--[a-z][a-z0-9-]*|(?:{names.pattern})(?![\w-])(?: --[a-z][a-z-]*)*)")
    parts = code.split(text)
    return "".join(f"`{part}`" if place % 2 else _escaped(part) for place, part in enumerate(parts))


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#$|~])", r"\\\1", text)
