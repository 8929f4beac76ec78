"""gpunn evaluate and gpunn predict."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from gpunn.training import evaluation
from gpunn.training.evaluation import Evaluation
from gpunn.training.totals import Totals
from tests.cli.conftest import Gpunn
from tests.training.runs import records_of, state_of, striped


def best_record(run: Path) -> dict[str, float]:
    epoch: int = state_of(run, "best")["progress"]["epoch"]
    return records_of(run)[epoch - 1]


def test_evaluation_repeats_the_metrics(gpunn: Gpunn, trained: Path) -> None:
    """Exactly, also what is printed for people."""
    result = gpunn("evaluate", trained, "--json")
    assert (result.status, result.error) == (0, "")
    found = json.loads(result.out)
    assert list(found) == ["top1", "top5", "loss", "images"]
    record = best_record(trained)
    expected = [record[f"validation_{name}"] for name in ("top1", "top5", "loss")]
    assert list(found.values()) == [*expected, 21]
    text = gpunn("evaluate", trained).out
    assert text == (
        f"top-1 {found['top1']:.2%}  loss {found['loss']:.4f}  on 21 images\n"
        f"weights of epoch {state_of(trained, 'best')['progress']['epoch']}\n"
    )


@pytest.mark.parametrize(("classes", "told"), [(5, False), (6, True)])
def test_the_best_five_are_told_where_there_are_more(
    gpunn: Gpunn, trained: Path, monkeypatch: pytest.MonkeyPatch, classes: int, told: bool
) -> None:
    totals = Totals(loss=8.0, top1=1.0, top5=3.0, images=4.0)
    monkeypatch.setattr(evaluation, "evaluate_run", lambda *_, **__: Evaluation(totals, 7, classes, ()))
    expected = "top-1 25.00%  top-5 75.00%  loss 2.0000" if told else "top-1 25.00%  loss 2.0000"
    assert gpunn("evaluate", trained).out == f"{expected}  on 4 images\nweights of epoch 7\n"
    assert json.loads(gpunn("evaluate", trained, "--json").out)["top5"] == 0.75


def test_evaluation_of_other_data(gpunn: Gpunn, trained: Path, data: Path) -> None:
    assert gpunn("evaluate", trained, "--data", data, "--json").out == gpunn("evaluate", trained, "--json").out
    refused = gpunn("evaluate", trained, "--data", "digits")
    assert refused.status == 3
    assert re.search(r"only in the data set: '3', .*'9'", refused.error)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{label}.png" for label in range(3)]
    for path, picture in zip(paths, striped(3, 8)[0], strict=True):
        Image.fromarray(picture[..., 0]).save(path)
    return paths


def test_prediction(gpunn: Gpunn, trained: Path, pictures: list[Path]) -> None:
    result = gpunn("predict", trained, *pictures, "--json")
    assert (result.status, result.error) == (0, "")
    found = json.loads(result.out)
    assert [entry["image"] for entry in found] == [str(path) for path in pictures]
    assert [entry["predictions"][0]["class"] for entry in found] == ["0", "1", "2"]
    for entry in found:
        probabilities = [prediction["probability"] for prediction in entry["predictions"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1)
    text = gpunn("predict", trained, pictures[1], "--top", 1).out
    assert text == f"{pictures[1]}: 1 {found[1]['predictions'][0]['probability']:.1%}\n"


def test_a_broken_image_is_named_and_the_others_are_predicted(
    gpunn: Gpunn, trained: Path, pictures: list[Path]
) -> None:
    sound = gpunn("predict", trained, pictures[0], pictures[2]).out
    pictures[1].write_bytes(pictures[1].read_bytes()[:70])
    result = gpunn("predict", trained, *pictures)
    assert (result.status, result.out) == (3, sound)
    assert result.error.startswith(f"error: '{pictures[1]}': truncated or damaged")
    assert result.error.count("\n") == 1
    result = gpunn("predict", trained, *pictures, "--json")
    found = json.loads(result.out)
    assert result.status == 3
    assert [list(entry) for entry in found] == [["image", "predictions"], ["image", "error"], ["image", "predictions"]]
    assert found[1]["image"] == str(pictures[1])
    assert found[1]["error"].startswith("truncated or damaged")


def test_odd_names_are_escaped(gpunn: Gpunn, trained: Path, pictures: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "red\x1b[31m\n.png"
    odd.write_bytes(pictures[0].read_bytes())
    result = gpunn("predict", trained, odd)
    assert result.status == 0
    assert result.out.startswith(f"{tmp_path}/red\\x1b[31m\\n.png: ")


def test_a_folder_is_no_image(gpunn: Gpunn, trained: Path, tmp_path: Path) -> None:
    result = gpunn("predict", trained, tmp_path)
    expected = f"error: '{tmp_path}': it is a folder; give image files, such as {tmp_path}/*.jpg\n"
    assert (result.status, result.error) == (3, expected)


def test_colour_and_size_are_adapted(gpunn: Gpunn, trained: Path, pictures: list[Path], tmp_path: Path) -> None:
    with Image.open(pictures[2]) as picture:
        picture.convert("RGBA").resize((96, 96), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    result = gpunn("predict", trained, tmp_path / "large.png", "--json")
    assert json.loads(result.out)[0]["predictions"][0]["class"] == "2"
