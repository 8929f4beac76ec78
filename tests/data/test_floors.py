"""The rooms of gpunn.data have floors, too: one imports from its own floor and from those below, never from above."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import gpunn.data
from tests.test_floors import imports

ROOT = Path(gpunn.data.__file__).parent

#: From top to bottom; a room is a module or a package right below gpunn.data. The package itself, which names what is
#: public, stands above all of them.
FLOORS = (
    {"checking", "making"},
    {"loading"},
    {"sources"},
    {"keeping"},
    {"dataset", "selection", "oversampling", "adaptation", "reasons"},
    {"preprocessing", "augmenting"},
    {"decoding"},
    {"names", "targets", "stratify"},
)

FILES = sorted(ROOT.rglob("*.py"))


def floor(room: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def faults(path: str, source: str) -> Iterator[str]:
    """Imports of the file gpunn/data/<path> that leave its floor upwards."""
    room = path.split("/")[0].removesuffix(".py")
    for name in imports(source):
        if room != "__init__" and name.startswith("gpunn.data."):
            other = name.split(".")[2]
            if other not in set().union(*FLOORS) or floor(other) < floor(room):
                yield f"{path} imports {name} from a floor above"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_floors_that_are_not_above(path: Path) -> None:
    assert not list(faults(path.relative_to(ROOT).as_posix(), path.read_text()))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("names.py", "from gpunn.data.dataset import Dataset"),
        ("sources/tree/dataset.py", "def f():\n    from gpunn.data.loading.loader import Loader"),
        ("augmenting/draws.py", "import gpunn.data.dataset"),
        ("loading/loader.py", "from gpunn.data import Loader"),
    ],
)
def test_a_leak_is_noticed(path: str, source: str) -> None:
    assert list(faults(path, source))


def test_the_floors_have_the_rooms_that_are_there_each_once() -> None:
    rooms = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES} - {"__init__"}
    assert sorted(room for rooms_of_floor in FLOORS for room in rooms_of_floor) == sorted(rooms)
