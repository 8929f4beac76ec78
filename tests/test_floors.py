"""The house has floors: a room imports from its own and from those below, never from above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import gpunn

ROOT = Path(gpunn.__file__).parent

#: From top to bottom; a room is a module or a package right below gpunn.
FLOORS = (
    {"cli", "__main__"},
    {"timing", "explaining", "visualization", "diagnosis"},
    {"training"},
    {"program", "models", "data"},
    {"network", "layers", "graph", "losses", "initializers", "optimizers", "schedules"},
    {"backend"},
    {"geometry", "precision", "random", "arena", "cache", "cores", "drawing", "durable_files", "errors", "heartbeat"},
    {"kernels"},
)

#: What the floor of the networks may see of the backend.
CONTRACT = ("gpunn.backend.contract", "gpunn.backend.attributes")

FILES = sorted(ROOT.rglob("*.py"))


def floor(room: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def imports(source: str) -> Iterator[str]:
    """Every name that a module imports, wherever in its text; a relative import as ".name"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def faults(path: str, source: str) -> Iterator[str]:
    """Imports of the file gpunn/<path> that leave its floor upwards, or reach behind the contract."""
    room = path.split("/")[0].removesuffix(".py")
    for name in imports(source):
        first, *rest = name.split(".")
        if first == "cupy" and not path.startswith("backend/cuda/"):
            yield f"{path} imports cupy; only backend/cuda does"
        elif not first:
            yield f"{path} imports {name}: a relative import hides which floor it reaches"
        elif first == "gpunn" and rest and rest[0] != "__version__":
            if room == "__init__" or floor(rest[0]) < floor(room):
                yield f"{path} imports {name} from a floor above"
            elif rest[0] == "backend" and room in FLOORS[4] and not name.startswith(CONTRACT):
                yield f"{path} imports {name}; its floor sees the contract only"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_floors_that_are_not_above(path: Path) -> None:
    assert not list(faults(path.relative_to(ROOT).as_posix(), path.read_text()))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("layers/linear.py", "from gpunn.program.call import Call"),
        ("backend/cpu/pooling.py", "def f():\n    import gpunn.network"),
        ("layers/linear.py", "from gpunn.backend.cpu import linear_forward"),
        ("geometry.py", "from gpunn.backend import contract"),
        ("training/trainer.py", "import cupy"),
        ("__init__.py", "from gpunn.network import Network"),
        ("network.py", "from .layers import Linear"),
    ],
)
def test_a_leak_is_noticed(path: str, source: str) -> None:
    assert list(faults(path, source))


def test_the_floors_have_the_rooms_that_are_there_each_once() -> None:
    rooms = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES} - {"__init__"}
    if find_spec("gpunn.kernels"):
        rooms.add("kernels")
    assert sorted(room for rooms_of_floor in FLOORS for room in rooms_of_floor) == sorted(rooms)
