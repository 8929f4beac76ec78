"""The table that says why a checkpoint does not fit a network."""

from __future__ import annotations

from gpunn.training.compatibility import compare_tensors


def test_equal_sets_fit() -> None:
    assert compare_tensors({"a": (1, 2), "b": ()}, {"b": (), "a": (1, 2)}) is None
    assert compare_tensors({}, {}) is None


def test_the_table_tells_the_three_differences_apart() -> None:
    expected = {
        "conv1.weight": (11, 11, 3, 96),
        "conv6.weight": (3, 3, 256, 256),
        "fc8.weight": (4096, 10),
        "scale": (),
    }
    found = {"conv1.weight": (11, 11, 3, 96), "fc8.weight": (4096, 1000), "bn1.bias": (64,), "scale": (1,)}
    assert compare_tensors(expected, found) == "\n".join(
        [
            "tensor        network      checkpoint",
            "fc8.weight    4096x10      4096x1000   different shape",
            "scale         scalar       1           different shape",
            "conv6.weight  3x3x256x256  -           missing",
            "bn1.bias      -            64          unexpected",
        ]
    )


def test_shapes_of_equal_size_still_differ() -> None:
    assert compare_tensors({"a": (2, 3)}, {"a": (3, 2)}) is not None


def test_a_long_table_is_cut() -> None:
    table = compare_tensors({f"layer{number}": (1,) for number in range(100)}, {})
    assert table is not None
    lines = table.splitlines()
    assert len(lines) == 42
    assert lines[-1] == "and 60 more"


def test_names_cannot_play_with_the_terminal() -> None:
    table = compare_tensors({}, {"\x1b[2Jgone\n": (1,)})
    assert table is not None
    assert "\x1b" not in table
    assert len(table.splitlines()) == 2
