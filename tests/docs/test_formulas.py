"""The page of formulas: what its tables name is there, and they name all that a course would look for."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import gpunn.schedules
from gpunn.backend import cpu, cuda
from gpunn.backend.cuda.launching.source import packaged_source
from gpunn.models import model

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/formulas.md").read_text()


@dataclass(frozen=True)
class Row:
    """A row of a table that says where a formula lives; `kernel` is empty where there is none."""

    formula: str
    code: str
    kernel: str
    test: str

    def __str__(self) -> str:
        return f"{self.formula} {self.code}"


def row_of(formula: str, where: str) -> Row:
    code, *others = (place.strip("`") for place in where.split("<br>"))
    return Row(formula, code, others[0] if len(others) == 2 else "", others[-1])


def rows() -> list[Row]:
    """The rows of every table whose head is formula, and code, kernel and test; these stand one below the other."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, flags=re.M):
        head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        if head == ["formula", "code, kernel and test"]:
            found += [row_of(*cells) for cells in body]
    return found


ROWS = rows()


def test_the_tables_are_found() -> None:
    assert len(ROWS) > 50
    assert sum(bool(row.kernel) for row in ROWS) > 25
    assert len({row.formula for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_code_is_there_and_defined_in_that_file(row: Row) -> None:
    module, _, name = row.code.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert found.__module__ == module
    assert callable(found)
    if module.startswith("gpunn.backend.cpu.") and ".convolution_algorithms." not in module:
        twin = getattr(cuda, name)
        assert inspect.signature(twin).parameters.keys() == inspect.signature(found).parameters.keys()


@pytest.mark.parametrize("row", [row for row in ROWS if row.kernel], ids=str)
def test_the_kernel_is_there(row: Row) -> None:
    file, _, kernel = row.kernel.partition(": ")
    assert kernel in packaged_source(file).signatures


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_test_is_there(row: Row) -> None:
    file, _, name = row.test.partition("::")
    module = ast.parse((ROOT / file).read_text())
    assert name in [node.name for node in module.body if isinstance(node, ast.FunctionDef)]


def test_every_schedule_has_a_row() -> None:
    kinds = [name for name, _ in inspect.getmembers(gpunn.schedules, inspect.isclass) if name.endswith("Schedule")]
    # The protocol, and a rate that does not change, have no formula.
    assert set(kinds) - {"Schedule", "ConstantSchedule"} <= {row.code.rpartition(".")[2] for row in ROWS}


def test_every_primitive_that_has_a_formula_has_a_row() -> None:
    """The names that the backends export are the list of what there is; those that move numbers have no formula."""
    moves = re.compile(
        "copy|fill|scale|flatten|concatenate|add|images|_backward|_workspace|commit|advance|check|inference"
    )
    named = {row.code.rpartition(".")[2] for row in ROWS} | {row.kernel.partition(": ")[2] for row in ROWS}
    assert {name for name in cpu.__all__ if not moves.search(name)} - named == set()


def test_every_parameter_count_of_the_page_is_that_of_the_network() -> None:
    section = PAGE.split("## Whole networks")[1]
    counted = {}
    for names, counts in re.findall(r"^\| (`[^|]+?) \| ([^|]+) \|", section, flags=re.M):
        totals = [count.replace(",", "") for count in re.findall(r"[\d,]{7,}", counts.rpartition("=")[2])]
        models = [name for name in re.findall(r"`([\w-]+)`", names) if name != "same"]
        counted.update(dict(zip(models, map(int, totals), strict=True)))
    assert len(counted) == 11
    for name, count in counted.items():
        chosen = model(name)
        assert chosen.build(chosen.image, chosen.classes).parameter_count == count
