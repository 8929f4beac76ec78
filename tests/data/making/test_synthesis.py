"""Rendered trees."""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpunn.data.making.object_classes import object_classes
from gpunn.data.making.rendering import render
from gpunn.data.making.synthesis import Synthesis, encoded, synthesize
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.tree.dataset import read_folder
from gpunn.errors import UsageError

SMALL = (40, 30)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def pixels(synthesis: Synthesis, index: int) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(encoded(synthesis, index))))


def test_the_tree_is_read_as_it_was_meant(tmp_path: Path) -> None:
    synthesis = Synthesis(3, 42, size=SMALL)
    done: list[int] = []
    written = synthesize(tmp_path / "tree", synthesis, workers=2, on_image=lambda: done.append(1))
    split = read_folder(tmp_path / "tree", Splitting(seed=0))
    assert [len(split.train), len(split.validation), len(done)] == [38, 4, 42]
    assert split.train.classes == ("0000-disc-plain-red", "0001-triangle-stripes-cyan", "0002-cross-checks-magenta")
    assert np.bincount(split.train.labels).tolist() == [13, 13, 12]
    assert np.bincount(split.validation.labels).tolist() == [1, 1, 2]
    assert written == sum(map(len, contents(tmp_path / "tree").values()))


def test_images_depend_on_seed_and_index_alone(tmp_path: Path) -> None:
    synthesis = Synthesis(3, 9, seed=5, size=SMALL)
    for workers in (1, 3):
        synthesize(tmp_path / str(workers), synthesis, workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")
    assert len(set(contents(tmp_path / "1").values())) == 9
    assert encoded(synthesis, 4) == encoded(Synthesis(3, 90, seed=5, size=SMALL), 4)
    assert encoded(synthesis, 4) != encoded(Synthesis(3, 9, seed=6, size=SMALL), 4)


def test_sizes_vary_around_the_one_given() -> None:
    sizes = np.array([pixels(Synthesis(2, 60, size=(80, 60)), index).shape[:2] for index in range(60)])
    longer, shorter = sizes.max(axis=1), sizes.min(axis=1)
    assert longer.mean() == pytest.approx(80, rel=0.08)
    assert shorter.mean() == pytest.approx(60, rel=0.08)
    assert len(set(map(tuple, sizes.tolist()))) > 40
    assert 0.1 < np.mean(sizes[:, 0] > sizes[:, 1]) < 0.5
    still = Synthesis(2, 60, size=(80, 60), vary=0.0)
    assert {pixels(still, index).shape for index in range(10)} == {(60, 80, 3)}


def test_files_are_as_long_as_those_of_imagenet() -> None:
    lengths = [len(encoded(Synthesis(10, 60, vary=0.0), index)) for index in range(10)]
    assert np.mean(lengths) == pytest.approx(98_000, rel=0.1)


def test_the_mean_colour_does_not_tell_the_class() -> None:
    """The class of the nearest mean colour is found no better than by chance, 25%; 200 guesses scatter by 3%."""
    synthesis = Synthesis(4, 400, size=SMALL)
    means = np.array([pixels(synthesis, index).mean(axis=(0, 1)) for index in range(400)])
    labels = np.arange(400) % 4
    centres = np.array([means[:200][labels[:200] == label].mean(axis=0) for label in range(4)])
    nearest = np.linalg.norm(means[200:, np.newaxis] - centres, axis=2).argmin(axis=1)
    assert np.mean(nearest == labels[200:]) < 0.36
    assert means.std(axis=0).min() > 10


def test_objects_show_their_colours_wherever_they_are() -> None:
    """The first class is a plain disc of one colour: pixels near that hue are a disc's share of the picture."""
    of = object_classes(2)[0]
    for seed in range(5):
        picture = render(of, (90, 120), np.random.default_rng(seed)).astype(float)
        hue = picture - picture.mean(axis=2, keepdims=True)
        wanted = of.colours[0] - of.colours[0].mean()
        similar = (hue @ wanted) / (np.linalg.norm(hue, axis=2) + 1) / np.linalg.norm(wanted)
        share = np.mean((similar > 0.9) & (np.linalg.norm(hue, axis=2) > 60))
        assert 0.07 < share < 0.6


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"classes": 1}, "1 classes"),
        ({"images": 5}, "5 images of 3 classes.*at least 6"),
        ({"vary": 0.6}, "0.6"),
        ({"vary": -0.1}, "-0.1"),
        ({"size": (20, 20)}, "smaller than 16"),
    ],
)
def test_what_cannot_be_rendered_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Synthesis(**{"classes": 3, "images": 30, **wrong})


def test_a_folder_that_holds_something_is_left_alone_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    synthesis = Synthesis(2, 4, size=SMALL)
    for taken in (tmp_path, tmp_path / "mine"):
        with pytest.raises(UsageError, match=r"not an empty folder.*--force"):
            synthesize(taken, synthesis, workers=1)
    assert contents(tmp_path) == {"mine": b"mine"}
    synthesize(tmp_path, synthesis, workers=1, replace=True)
    assert contents(tmp_path).keys() > {"mine"}
    with pytest.raises(UsageError, match="cannot write"):
        synthesize(tmp_path / "mine", synthesis, workers=1, replace=True)


def test_a_full_disk_is_told_and_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "0000003.jpg":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match=r"0000003\.jpg.*No space left.*free some space"):
        synthesize(tmp_path / "tree", Synthesis(2, 8, size=SMALL), workers=1)
    whole = [path for path in (tmp_path / "tree").rglob("*.jpg") if not path.name.startswith(".")]
    assert {"0000000.jpg", "0000001.jpg", "0000002.jpg"} <= {path.name for path in whole}
    for path in whole:
        Image.open(path).load()
