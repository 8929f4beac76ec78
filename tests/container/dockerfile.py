"""What stands in a Dockerfile: instructions, stage by stage."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One line, those that it goes on in joined to it."""

    name: str
    value: str


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next; `parent` is an image, or a stage before."""

    name: str
    parent: str
    instructions: tuple[Instruction, ...]

    def values(self, instruction: str) -> list[str]:
        """Of all such instructions in this stage."""
        return [found.value for found in self.instructions if found.name == instruction]


@dataclass(frozen=True)
class Dockerfile:
    """The arguments that hold for every FROM, with their defaults, and the stages."""

    arguments: dict[str, str]
    stages: tuple[Stage, ...]

    def ancestry(self, name: str) -> list[Stage]:
        """A stage and those that it is made from, nearest first."""
        known = {stage.name: stage for stage in self.stages}
        found = []
        while name in known:
            found.append(known[name])
            name = known[name].parent
        return found

    def inherited(self, name: str, instruction: str) -> list[str]:
        """The values of an instruction that hold in a stage, nearest first."""
        return [value for stage in self.ancestry(name) for value in reversed(stage.values(instruction))]


def read(path: Path) -> Dockerfile:
    """Read one whose FROM lines have the form `FROM PARENT [AS NAME]`; a stage without a name gets its number."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    instructions = [Instruction(*re.split(r"\s+", line, maxsplit=1)) for line in lines]
    starts = [place for place, found in enumerate(instructions) if found.name == "FROM"]
    arguments = dict(found.value.split("=", 1) for found in instructions[: starts[0]])
    stages = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(instructions)], strict=True)):
        parent, *alias = shlex.split(instructions[start].value)
        name = alias[1] if alias else str(number)
        stages.append(Stage(name, parent, tuple(instructions[start + 1 : end])))
    return Dockerfile(arguments, tuple(stages))
