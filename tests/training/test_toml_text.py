"""What is written as TOML is what Python's own reader of TOML reads."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpunn.training.toml_text import to_toml

SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=15
)


def in_full(value: Any) -> Any:
    """The value with the type of every part, since 1, 1.0 and True are equal."""
    if isinstance(value, dict):
        return {key: in_full(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [in_full(inner) for inner in value]
    return type(value), repr(value)


@settings(deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_round_trip(table: dict[str, Any]) -> None:
    assert in_full(tomllib.loads(to_toml(table))) == in_full(table)


def test_number_types_survive() -> None:
    table = {"whole": 1, "float": 1.0, "flag": True, "tiny": 5e-324, "exact": 0.1 + 0.2, "huge": 1e22, "minus": -0.0}
    assert in_full(tomllib.loads(to_toml(table))) == in_full(table)


def test_the_text_reads_well() -> None:
    configuration = {
        "model": "lenet",
        "lr": 0.05,
        "resume": None,
        "schedule": {"name": "step", "at": [30, 60], "warm-up": {"epochs": 5}},
        "transforms": [{"name": "shift", "pixels": 2}],
    }
    assert to_toml(configuration) == (
        'model = "lenet"\n'
        "lr = 0.05\n"
        'transforms = [{ name = "shift", pixels = 2 }]\n'
        "\n"
        "[schedule]\n"
        'name = "step"\n'
        "at = [30, 60]\n"
        "\n"
        "[schedule.warm-up]\n"
        "epochs = 5\n"
    )


@pytest.mark.parametrize("value", [[1, None], {1, 2}, b"bytes", 1j], ids=repr)
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="TOML has no form"):
        to_toml({"key": value})


def test_odd_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        to_toml({"data": "folder \udcff"})
