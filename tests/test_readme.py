"""Every command of the README, run in its order in an empty folder; what it promises is there afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.commands import ROOT, blocks_of, commands_to_run, run

README = (ROOT / "README.md").read_text()
#: The accuracy that the first command promises.
PROMISED_TOP1 = 0.985


def commands() -> list[str]:
    """All commands that are run here, in their order; the tests do not run themselves."""
    found = [command for block in blocks_of(README) for command in commands_to_run(block)]
    return [command for command in found if command != "pytest"]


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    assert commands()[0] == "gpunn train"
    printed = run(commands(), tmp_path)
    (folder,) = (tmp_path / "runs").glob("lenet-digits-*")
    best = max(json.loads(line)["validation_top1"] for line in (folder / "metrics.jsonl").read_text().splitlines())
    assert best >= PROMISED_TOP1
    assert "docs/pictures/seven.png: 7 " in printed
    assert "within the rounding of tf32" in printed


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_every_link_of_the_readme_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_folder_in_the_tree_of_the_readme_exists() -> None:
    tree = README.split("## What is here")[1].split("```")[1]
    path: list[str] = []
    for line in filter(None, tree.splitlines()):
        name = line.split()[0]
        path[(len(line) - len(line.lstrip())) // 2 :] = [name]
        assert (ROOT / "".join(path)).is_dir(), name
