"""Every command of the README, run in its order in an empty folder; what it promises is there afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
#: What installs the package was run before the tests, by whoever runs them; the tests do not run themselves; and there
#: may be no GPU.
NOT_RUN_HERE = ("pip install", "pytest", "python -m benchmarks", "gpunn train --device cuda")
#: The accuracy that the first command promises.
PROMISED_TOP1 = 0.985


def blocks() -> list[list[str]]:
    """The commands of each block, what stands behind "$", without those that are not run here."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.S):
        lines = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
        parts = [part.strip() for line in lines for part in line.split("&&")]
        found.append([part for part in parts if not part.startswith(NOT_RUN_HERE)])
    return [block for block in found if block]


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    assert blocks()[0] == ["gpunn train"]
    printed = ""
    for block in blocks():
        script = "\n".join(["set -e", *block])
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        printed += done.stdout
    (run,) = (tmp_path / "runs").glob("lenet-digits-*")
    best = max(json.loads(line)["validation_top1"] for line in (run / "metrics.jsonl").read_text().splitlines())
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
