"""gpunn data: the commands that make data sets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Gpunn
from tests.data.pictures import write_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree", {"cat": 5, "dog": 5})


@pytest.mark.parametrize("command", ["pack", "synthesize"])
def test_every_command_shows_an_example(gpunn: Gpunn, command: str) -> None:
    result = gpunn("data", command, "--help")
    assert (result.status, result.error) == (0, "")
    assert re.search(rf"Example:\s+gpunn data {command} \w+", result.out)


def test_data_alone_lists_its_commands(gpunn: Gpunn) -> None:
    result = gpunn("data")
    assert (result.status, result.error) == (0, "")
    assert all(f"  {command} " in result.out for command in ("pack", "synthesize"))


def test_packed_images_can_be_trained_on_and_measured(
    gpunn: Gpunn, data: Path, tmp_path: Path, no_curves: None
) -> None:
    """The same pixels give the same network."""
    packed = gpunn("data", "pack", data, tmp_path / "packed")
    assert (packed.status, packed.error) == (0, "")
    assert re.search(r"50 training and 21 validation images of 3 classes, 12x12x\d, .* MB\n$", packed.out)
    lines = []
    for source, run in ((data, "a"), (tmp_path / "packed", "b")):
        options = ("--model", "mlp", "--epochs", 1, "--set", "augmentation=none", "--out", tmp_path / run)
        assert gpunn("train", "--data", source, *options).status == 0
        lines.append(gpunn("evaluate", tmp_path / run, "--data", tmp_path / "packed").out)
    assert "21 images" in lines[0]
    assert lines[0] == lines[1]


def test_the_source_is_divided_as_in_training(gpunn: Gpunn, tree: Path, tmp_path: Path) -> None:
    result = gpunn("data", "pack", tree, tmp_path / "x", "--size", "8x6", "--validation-fraction", 0.4, "--seed", 3)
    assert "6 training and 4 validation images of 2 classes, 8x6x3" in result.out


def test_unreadable_images_end_it_or_are_listed(gpunn: Gpunn, tree: Path, tmp_path: Path) -> None:
    (tree / "cat" / "2.jpg").write_bytes(b"no picture")
    result = gpunn("data", "pack", tree, tmp_path / "x", "--size", 8)
    assert result.status == 3
    assert "cat/2.jpg" in result.error
    assert "--unreadable skip" in result.error
    result = gpunn("data", "pack", tree, tmp_path / "x", "--size", 8, "--unreadable", "skip")
    assert (result.status, result.error) == (0, "")
    quarantine = tmp_path / "bad.jsonl"
    assert gpunn("data", "check", tree, "--quarantine", quarantine).status == 3
    packed = gpunn("data", "pack", tree, tmp_path / "y", "--size", 8, "--quarantine", quarantine)
    assert (packed.status, packed.error) == (0, "")
    assert packed.out.endswith("; 1 left out by the quarantine\n")
    assert (tmp_path / "x").stat().st_size == (tmp_path / "y").stat().st_size
    assert re.match(r"left out: .*cat/2\.jpg.*\n.*; 1 left out\n$", result.out)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--size", "0"), 2, "--size '0'"),
        (("--size", "8x"), 2, "--size '8x'"),
        (("--size", "eight"), 2, "--size 'eight'"),
        (("--unreadable", "quarantine"), 2, "neither raise nor skip"),
        (("--workers", "0"), 2, "workers"),
        (("--decoder", "slow"), 2, "'slow'"),
        (("--validation-fraction", "1.5"), 2, "validation fraction"),
    ],
)
def test_wrong_use_of_pack(gpunn: Gpunn, tree: Path, options: tuple[str, ...], status: int, words: str) -> None:
    result = gpunn("data", "pack", tree, tree.parent / "x", *options)
    assert result.status == status
    assert words in result.error
    assert not (tree.parent / "x").exists()


def test_rendered_images_are_learnt_by_a_small_network(gpunn: Gpunn, tmp_path: Path, no_curves: None) -> None:
    """Four classes of which the mean colour tells nothing: chance is 25%."""
    result = gpunn("data", "synthesize", tmp_path / "tree", "--classes", 4, "--images", 900, "--size", "56x42")
    assert (result.status, result.error) == (0, "")
    assert "810 training and 90 validation images of 4 classes, " in result.out
    options = ("--model", "lenet", "--set", "image_size=32", "--set", "augmentation=none", "--lr", 0.02, "--epochs", 5)
    trained = gpunn("train", "--data", tmp_path / "tree", *options, "--out", tmp_path / "run")
    assert (trained.status, trained.error) == (0, "")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert max(json.loads(line)["validation_top1"] for line in lines) > 0.45


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--classes", "0", "--images", "8"), "0 classes"),
        (("--classes", "2", "--images", "3"), "at least 4"),
        (("--classes", "2"), "--images"),
        (("--classes", "2", "--images", "8", "--size", "500"), "--size '500'"),
        (("--classes", "2", "--images", "8", "--vary", "2"), "2.0"),
    ],
)
def test_wrong_use_of_synthesize(gpunn: Gpunn, tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    result = gpunn("data", "synthesize", tmp_path / "tree", *options)
    assert result.status == 2
    assert words in result.error
    assert not (tmp_path / "tree").exists()
