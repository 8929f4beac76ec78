"""gpunn show."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Gpunn, Result
from tests.training.runs import striped


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, gpunn: Gpunn, data: Path) -> Path:
    """A run of one epoch of a network with convolutions."""
    out = tmp_path_factory.mktemp("convolutions") / "run"
    result = gpunn(
        *("train", "--data", data, "--model", "lecture-cnn", "--epochs", 1, "--batch-size", 16, "--lr", 0.01),
        *("--set", "augmentation=none", "--out", out),
    )
    assert (result.status, result.error) == (0, "")
    return out


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "one.png"
    Image.fromarray(striped(2, 8)[0][1, ..., 0]).resize((24, 24)).save(path)
    return path


def written(result: Result, folder: Path) -> list[str]:
    """The names of the files that a command printed, all of them there."""
    assert (result.status, result.error) == (0, "")
    paths = [Path(line) for line in result.out.splitlines()]
    assert all(path.parent == folder and path.is_file() for path in paths)
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                picture.verify()
                assert picture.format == "PNG"
    return [path.name for path in paths]


def test_everything_at_once(gpunn: Gpunn, run: Path, image: Path) -> None:
    result = gpunn("show", run, "--filters", "--activations", image, "--grad-cam", image, "--class", 2, "--errors")
    assert written(result, run / "pictures") == [
        "filters-conv1.png",
        "activations-one.png",
        "grad-cam-one-2.png",
        "errors.png",
        "errors.csv",
        "confusion.png",
    ]


@pytest.mark.usefixtures("without_matplotlib")
def test_without_matplotlib_nothing_is_shown_and_the_remedy_told(gpunn: Gpunn, run: Path, tmp_path: Path) -> None:
    result = gpunn("show", run, "--filters", "--errors", "--out", tmp_path / "out")
    assert (result.status, result.out, result.error.count("\n")) == (2, "", 1)
    assert result.error.startswith("error: gpunn show needs matplotlib, which cannot be loaded (")
    assert result.error.endswith("); pip install matplotlib\n")
    assert not (tmp_path / "out").exists()


def test_the_class_is_the_most_likely_one_unless_it_is_given(gpunn: Gpunn, run: Path, image: Path) -> None:
    best = json.loads(gpunn("predict", run, image, "--json").out)[0]["predictions"][0]["class"]
    assert written(gpunn("show", run, "--grad-cam", image), run / "pictures") == [f"grad-cam-one-{best}.png"]


def test_one_layer_on_another_device_into_another_folder(gpunn: Gpunn, run: Path, image: Path, tmp_path: Path) -> None:
    """An emulator shows what the CPU shows, pixel by pixel or nearly so."""
    options = ("--layer", "conv2", "--count", 3, "--filters", "--activations", image, "--grad-cam", image)
    pages = []
    for device in ("cpu", "emulator"):
        out = tmp_path / device
        names = written(gpunn("show", run, *options, "--class", 0, "--out", out, "--device", device), out)
        assert names == ["filters-conv2.png", "activations-one-conv2.png", "grad-cam-one-0-conv2.png"]
        pages.append([np.asarray(Image.open(out / name)).astype(int) for name in names])
    for mine, other in zip(*pages, strict=True):
        assert mine.shape == other.shape
        assert abs(mine - other).mean() < 0.5


def test_errors_are_those_of_evaluation_and_prediction(gpunn: Gpunn, run: Path, tmp_path: Path) -> None:
    """The labels are what the run takes the images for, but for three that the test has changed."""
    pictures, labels = striped(9, 4)
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture[..., 0]).save(path)
    answers = json.loads(gpunn("predict", run, *paths, "--json").out)
    likely = np.array([int(answer["predictions"][0]["class"]) for answer in answers])
    wrong = {1: 1, 4: 2, 7: 1}
    labels = likely.copy()
    for number, shift in wrong.items():
        labels[number] = (likely[number] + shift) % 3
    data = tmp_path / "others.npz"
    learnt = striped(6, 5)
    np.savez(data, train_images=learnt[0], train_labels=learnt[1], validation_images=pictures, validation_labels=labels)
    names = written(gpunn("show", run, "--errors", "--data", data, "--out", tmp_path / "out"), tmp_path / "out")
    assert names == ["errors.png", "errors.csv", "confusion.png"]
    with (tmp_path / "out" / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {int(row["image"].split()[1]): row for row in rows}
    assert sorted(found) == sorted(wrong)
    for number, row in found.items():
        chances = {one["class"]: one["probability"] for one in answers[number]["predictions"]}
        assert row["class"] == str(labels[number])
        assert row["taken_for"] == str(likely[number])
        assert float(row["probability"]) == pytest.approx(chances[row["taken_for"]], abs=1e-5)
        assert float(row["loss"]) == pytest.approx(-np.log(chances[row["class"]]), abs=1e-4)
    losses = [float(row["loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)


def test_images_that_cannot_be_read_are_counted(gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
    """A run says what becomes of them: those of this one are left out. One of the others lies in a wrong folder."""
    run, tree = tmp_path / "run", tmp_path / "tree"
    options = ("--model", "mlp", "--epochs", 1, "--batch-size", 16, "--unreadable", "skip", "--out", run)
    assert gpunn("train", "--data", data, *options).status == 0
    pictures, labels = striped(9, 4)
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        path = tree / str((label + (number == 0)) % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[..., 0]).save(path)
    (tree / "1" / "4.png").write_bytes(b"no picture")
    result = gpunn("show", run, "--errors", "--data", tree, "--out", tmp_path / "out")
    assert result.status == 0
    assert result.error == "note: 1 of 9 images cannot be read and are left out\n"
    with (tmp_path / "out" / "errors.csv").open() as file:
        wrong = list(csv.DictReader(file))
    assert wrong
    assert all(Path(row["image"]).parent == tree / row["class"] and Path(row["image"]).is_file() for row in wrong)


def test_a_network_without_convolution_shows_the_rest(gpunn: Gpunn, trained: Path, image: Path) -> None:
    refused = gpunn("show", trained, "--grad-cam", image)
    assert refused.status == 2
    assert refused.error == (
        "error: mlp has no convolution, and Grad-CAM weighs the feature maps of one; what works here: --filters, "
        "--activations IMAGE, --errors\n"
    )
    result = gpunn("show", trained, "--filters", "--activations", image)
    assert written(result, trained / "pictures") == ["filters-fc1.png", "activations-one.png"]


def test_a_checkpoint_will_do(gpunn: Gpunn, run: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "best.safetensors"
    checkpoint.write_bytes((run / "checkpoints" / "best.safetensors").read_bytes())
    assert written(gpunn("show", checkpoint, "--filters"), tmp_path / "pictures") == ["filters-conv1.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "say what to show: --filters, --activations IMAGE, --grad-cam IMAGE or --errors"),
        (("--filters", "--class", "1"), "--class is the class of --grad-cam IMAGE; give both"),
        (("--filters", "--data", "digits"), "--data names the images of --errors; give both"),
        (("--errors", "--layer", "conv1"), "--layer goes with --filters"),
        (("--filters", "--layer", "conv7"), "lecture-cnn has no layer 'conv7'; it has image, conv1, relu1, conv2"),
        (("--filters", "--layer", "fc3"), "layer 'fc3' has no weights that make pictures; take one of conv1, conv2"),
        (("--filters", "--count", "0"), "--count"),
        (("--filters", "--out", "{run}/config.toml"), "cannot make the folder"),
        (("--grad-cam", "{image}", "--class", "cat"), "the run has no class 'cat'; give a name (0, 1, 2) or a number"),
        (("--grad-cam", "{image}", "--layer", "fc3"), "take one of conv1, relu1, conv2, relu2"),
    ],
)
def test_wrong_use(gpunn: Gpunn, run: Path, image: Path, options: tuple[str, ...], message: str) -> None:
    result = gpunn("show", run, *(option.format(run=run, image=image) for option in options))
    assert (result.status, result.out) == (2, "")
    assert message in result.error
    assert result.error.count("\n") == 1


def test_an_image_that_cannot_be_read_is_named(gpunn: Gpunn, run: Path, image: Path, tmp_path: Path) -> None:
    image.write_bytes(image.read_bytes()[:60])
    for option in ("--activations", "--grad-cam"):
        broken = gpunn("show", run, option, image)
        assert (broken.status, broken.out) == (3, "")
        assert broken.error.startswith(f"error: '{image}': ")
        missing = gpunn("show", run, option, tmp_path / "nothing.png")
        assert (missing.status, missing.error) == (3, f"error: '{tmp_path}/nothing.png': No such file or directory\n")


def test_a_folder_that_is_no_run_is_refused(gpunn: Gpunn, tmp_path: Path) -> None:
    assert gpunn("show", tmp_path / "none", "--filters").status == 2
    result = gpunn("show", tmp_path, "--filters")
    assert result.status == 2
    assert "is not the folder of a run" in result.error
