"""What is installed is what is here."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_folder_of_modules_is_a_package_that_is_installed() -> None:
    """The list is written by hand since `kernels/` is installed under another name."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "gpunn").rglob("*.py")}
    assert sorted(listed) == sorted({".".join(folder.parts) for folder in folders} | {"gpunn.kernels"})
