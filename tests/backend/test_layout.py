"""Where the CPU's code lies: a file beside the device and its workers offers operations of the contract only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gpunn.backend import cpu
from gpunn.backend.contract import Primitives

FILES = [path for path in Path(cpu.__file__).parent.glob("*.py") if path.stem not in ("__init__", "device", "workers")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_public_functions_and_classes_of_a_file_are_operations(path: Path) -> None:
    defined = [
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    public = [name for name in defined if not name.startswith("_")]
    assert public
    assert [name for name in public if not hasattr(Primitives, name)] == []
