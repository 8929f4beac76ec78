"""gpunn train: what it prints and writes, where settings come from, folders of pictures, divergence."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gpunn.cli.application import run
from gpunn.models import MODELS
from gpunn.training.run_folder import RunFolder
from tests.cli.conftest import Gpunn
from tests.training.runs import assert_same_run, records_of, write_stripes


def test_what_a_run_prints(gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = gpunn("train", "--data", data, "--model", "mlp", "--epochs", 2, "--batch-size", 10, "--out", out)
    assert (result.status, result.error) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith(f"data: '{data}': 50 training and 21 validation images")
    assert lines[1] == f"model: mlp, {144 * 300 + 300 + 300 * 100 + 100 + 100 * 3 + 3:,} parameters"
    assert lines[2].startswith("device: cpu (auto")
    assert lines[3] == "augmentation: none"
    assert lines[4] == f"run: {out}"
    assert [line.split()[:2] for line in lines[5:7]] == [["epoch", "1"], ["epoch", "2"]]
    records = records_of(out)
    for line, record in zip(lines[5:7], records, strict=True):
        assert f"loss {record['train_loss']:.4f}" in line
        assert f"top-1 {record['validation_top1']:6.2%}" in line
    assert lines[7].startswith("best validation top-1: ")
    assert lines[8] == f"written to {out}: the best and last checkpoint, metrics.csv and curves.png"
    assert lines[9].startswith(f"next: gpunn evaluate {out}")
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("no_curves")
class TestSettings:
    """Options over --config over the recipe; --set over all."""

    def test_precedence(self, gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
        file = tmp_path / "settings.toml"
        file.write_text('model = "mlp"\nepochs = 5\nbatch_size = 10\nseed = 3\nmomentum = 0.5\n')
        out = tmp_path / "run"
        result = gpunn(
            *("train", "--config", file, "--data", data, "--epochs", 1, "--batch-size", 20, "--out", out),
            *("--set", "batch_size=25", "--set", "schedule=warmup:1,cosine", "--set", "label_smoothing=0.1"),
        )
        assert result.status == 0
        found = tomllib.loads((out / "config.toml").read_text())
        expected = {
            "model": "mlp",
            "data": str(data),
            "epochs": 1,
            "batch_size": 25,
            "seed": 3,
            "momentum": 0.5,
            "schedule": "warmup:1,cosine",
            "label_smoothing": 0.1,
            "weight_decay": MODELS["mlp"].recipe.weight_decay,
        }
        assert {name: found[name] for name in expected} == expected
        assert records_of(out)[0]["step"] == 2

    def test_an_option_that_repeats_the_default_still_wins(self, gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
        file = tmp_path / "settings.toml"
        file.write_text('model = "lecture-cnn"\nimage_size = 16\n')
        result = gpunn(
            "train", "--config", file, "--model", "lenet", "--data", data, "--epochs", 1, "--out", tmp_path / "r"
        )
        assert result.status == 0
        assert "model: lenet" in result.out

    def test_a_configuration_file_repeats_the_run(self, gpunn: Gpunn, trained: Path, tmp_path: Path) -> None:
        assert gpunn("train", "--config", trained / "config.toml", "--out", tmp_path / "again").status == 0
        assert_same_run(tmp_path / "again", trained)

    def test_every_option_reaches_the_run(self, gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
        result = gpunn(
            *("train", "--data", data, "--model", "mlp", "--device", "cpu", "--precision", "float64"),
            *("--epochs", 2, "--batch-size", 7, "--accumulate", 3, "--optimizer", "adam", "--lr", 0.002),
            *("--schedule", "step:1,0.5", "--seed", 11, "--patience", 4, "--out", tmp_path / "run"),
        )
        assert (result.status, result.error) == (0, "")
        found = RunFolder(tmp_path / "run").read_configuration()
        expected = {
            "device": "cpu",
            "precision": "float64",
            "epochs": 2,
            "batch_size": 7,
            "accumulate": 3,
            "optimizer": "adam",
            "learning_rate": 0.002,
            "schedule": "step:1,0.5",
            "seed": 11,
            "patience": 4,
        }
        assert {name: found[name] for name in expected} == expected
        assert [record["learning_rate"] for record in records_of(tmp_path / "run")] == [0.002, 0.001]

    def test_without_out_a_folder_of_that_name_is_made(
        self, gpunn: Gpunn, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert gpunn("train", "--data", data, "--model", "mlp", "--epochs", 1).status == 0
        (path,) = (tmp_path / "runs").iterdir()
        assert path.name.startswith("mlp-stripes-")

    def test_the_schedule_lists_its_forms(self, gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
        result = gpunn("train", "--data", data, "--model", "mlp", "--schedule", "step:30:0.1", "--out", tmp_path / "r")
        assert result.status == 2
        assert "step:30:0.1" in result.error
        assert "step:EPOCHS,FACTOR" in result.error


def test_a_folder_in_use_is_refused_before_any_data_are_read(gpunn: Gpunn, trained: Path) -> None:
    """There are none."""
    result = gpunn("train", "--data", "nowhere", "--out", trained)
    assert (result.status, "is not empty" in result.error) == (2, True)


@pytest.mark.usefixtures("without_matplotlib")
def test_without_matplotlib_a_run_says_before_and_after_that_it_has_no_curves(
    gpunn: Gpunn, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = gpunn("train", "--data", data, "--model", "mlp", "--epochs", 2, "--batch-size", 16, "--out", out)
    assert (result.status, result.error) == (0, "")
    lines = result.out.splitlines()
    assert lines[5] == "the curves will not be drawn: matplotlib is not installed; pip install matplotlib"
    assert sum("curves" in line for line in lines) == 2
    assert f"written to {out}: the best and last checkpoint, metrics.csv; there is no curves.png" in lines
    assert not (out / "curves.png").exists()


@pytest.mark.usefixtures("no_curves")
class TestResuming:
    """The command line's part in it."""

    def test_a_finished_run(self, gpunn: Gpunn, trained: Path, tmp_path: Path) -> None:
        shutil.copytree(trained, tmp_path / "run")
        result = gpunn("train", "--resume", tmp_path / "run")
        assert result.status == 0
        assert "this run has already ended" in result.out
        assert "written to" not in result.out
        assert_same_run(tmp_path / "run", trained)

    def test_a_damaged_last_checkpoint(self, gpunn: Gpunn, trained: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        shutil.copytree(trained, run)
        last = run / "checkpoints" / "last.safetensors"
        last.write_bytes(last.read_bytes()[:-100])
        result = gpunn("train", "--resume", run)
        assert result.status == 0
        assert "last.safetensors' cannot be used" in result.out
        assert "using previous.safetensors (epoch 1, step 4)" in result.out
        assert_same_run(run, trained)

    def test_nothing_usable_is_exit_status_7(self, gpunn: Gpunn, trained: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        shutil.copytree(trained, run)
        for name in ("last", "previous"):
            (run / "checkpoints" / f"{name}.safetensors").write_bytes(b"PK\x03\x04 something else")
        result = gpunn("train", "--resume", run)
        assert (result.status, result.error.count("\n")) == (7, 1)
        assert "zip archive" in result.error

    def test_changed_data(self, gpunn: Gpunn, tmp_path: Path) -> None:
        data = write_stripes(tmp_path / "stripes.npz")
        run = tmp_path / "run"
        assert gpunn("train", "--data", data, "--model", "mlp", "--epochs", 1, "--out", run).status == 0
        write_stripes(data, validation=22)
        refused = gpunn("train", "--resume", run)
        assert (refused.status, refused.error.count("\n")) == (7, 1)
        assert "--allow-changed-data" in refused.error
        assert gpunn("train", "--resume", run, "--allow-changed-data").status == 0

    def test_another_network(self, gpunn: Gpunn, data: Path, trained: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        given = ("--data", data, "--model", "lenet", "--epochs", 1, "--set", "image_size=16", "--out", run)
        assert gpunn("train", *given).status == 0
        shutil.copy(trained / "checkpoints" / "last.safetensors", run / "checkpoints")
        result = gpunn("train", "--resume", run)
        assert result.status == 7
        rows = [line.split() for line in result.error.splitlines()]
        assert ["conv1.weight", "5x5x1x20", "-", "missing"] in rows
        assert ["fc1.bias", "-", "300", "unexpected"] in rows


@pytest.mark.usefixtures("no_curves")
def test_divergence_is_exit_status_6(gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = gpunn("train", "--data", data, "--model", "mlp", "--epochs", 2, "--lr", 1e38, "--out", run)
    assert (result.status, result.error.count("\n")) == (6, 1)
    assert "not a finite number" in result.error
    report = json.loads((run / "diverged.json").read_text())
    assert set(report) == {"step", "samples", "broken", "layers", "weights"}


def shapes(root: Path, counts: tuple[int, ...] = (8, 8, 8)) -> Path:
    """root/CLASS/N.jpg: a red disc, a green square, a blue triangle, somewhere on gray, of several sizes."""
    draw = np.random.default_rng(0)
    for name, count in zip(("disc", "square", "triangle"), counts, strict=True):
        (root / name).mkdir(parents=True)
        for number in range(count):
            width, height = (int(draw.integers(40, 60)) for _ in range(2))
            picture = Image.new("RGB", (width, height), (90, 90, 90))
            left, top = (int(draw.integers(2, 12)) for _ in range(2))
            pen = ImageDraw.Draw(picture)
            box = (left, top, left + 26, top + 26)
            if name == "disc":
                pen.ellipse(box, (220, 30, 30))
            elif name == "square":
                pen.rectangle(box, (30, 200, 30))
            else:
                pen.polygon([(left, top + 26), (left + 26, top + 26), (left + 13, top)], (40, 40, 220))
            picture.save(root / name / f"{number}.jpg")
    return root


@pytest.mark.usefixtures("no_curves")
def test_a_folder_of_pictures(gpunn: Gpunn, tmp_path: Path) -> None:
    """No split of its own, pictures of several sizes; trained, measured and asked."""
    root = shapes(tmp_path / "shapes")
    run = tmp_path / "run"
    result = gpunn(
        *("train", "--data", root, "--model", "lecture-cnn", "--epochs", 2, "--batch-size", 4, "--lr", 0.002),
        *("--out", run),
    )
    assert (result.status, result.error) == (0, "")
    assert "resize the shorter side to " in result.out
    measured = gpunn("evaluate", run, "--json")
    assert json.loads(measured.out)["top1"] == max(record["validation_top1"] for record in records_of(run))
    asked = json.loads(gpunn("predict", run, root / "disc" / "0.jpg", "--json").out)
    assert {entry["class"] for entry in asked[0]["predictions"]} == {"disc", "square", "triangle"}


@pytest.mark.usefixtures("no_curves")
def test_a_model_of_fixed_size_meets_gray_pictures(gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
    result = gpunn(
        *("train", "--data", data, "--model", "vgg11-bn-cifar", "--epochs", 1, "--batch-size", 50),
        *("--out", tmp_path / "run"),
    )
    assert (result.status, result.error) == (0, "")
    assert "\nresize 12x12 to 32x32\nrepeat gray to RGB\n" in result.out


def test_a_broken_picture_is_exit_status_3(gpunn: Gpunn, tmp_path: Path) -> None:
    root = shapes(tmp_path / "shapes", (4, 4, 4))
    path = root / "disc" / "2.jpg"
    path.write_bytes(path.read_bytes()[:200])
    result = gpunn(
        *("train", "--data", root, "--model", "mlp", "--epochs", 1, "--set", "image_size=12"),
        *("--out", tmp_path / "run"),
    )
    assert result.status == 3
    assert "2.jpg" in result.error
    assert result.error.count("\n") == 1


@pytest.mark.filterwarnings("default::gpunn.data.dataset.DataWarning")
@pytest.mark.usefixtures("no_curves")
def test_a_warning_is_one_line(gpunn: Gpunn, tmp_path: Path) -> None:
    root = shapes(tmp_path / "shapes", (4, 4, 4))
    (root / "disc" / "loop").symlink_to(root)
    result = gpunn(
        *("train", "--data", root, "--model", "mlp", "--epochs", 1, "--set", "image_size=12"),
        *("--out", tmp_path / "run"),
    )
    assert result.status == 0
    assert result.error.startswith("warning: ")
    assert result.error.count("\n") == 1
    assert "disc/loop" in result.error


def test_a_folder_whose_name_no_encoding_knows(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trains, prints and draws."""
    out = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xff\nun"))
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    assert run(["train", "--data", str(data), "--model", "mlp", "--epochs", "1", "--out", str(out)]) == 0
    stream.flush()
    assert b"r\\udcff" in stream.buffer.getvalue()
    assert (out / "curves.png").is_file()
