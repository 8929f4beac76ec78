"""gpunn train with images that cannot be read, a decoder that is not there, and a first step that fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpunn.data.decoding import by_name
from gpunn.errors import DeviceError
from gpunn.training.history import EpochRecord
from gpunn.training.learner import Learner
from gpunn.training.run_folder import RunFolder
from gpunn.training.trainer import Trainer
from tests.cli.conftest import Gpunn
from tests.data.pictures import write_tree
from tests.training.runs import assert_same_run, records_of

pytestmark = pytest.mark.usefixtures("no_curves")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """15 training and 6 validation images."""
    for half, count, seed in (("train", 5, 0), ("val", 2, 50)):
        write_tree(tmp_path / "photographs" / half, {"ant": count, "bee": count, "cat": count}, seed)
    return tmp_path / "photographs"


def truncate(path: Path) -> bytes:
    """What was there before."""
    content = path.read_bytes()
    path.write_bytes(content[:200])
    return content


def options(photographs: Path, run: Path) -> tuple[object, ...]:
    return (
        *("train", "--data", photographs, "--model", "mlp", "--epochs", 2, "--batch-size", 6, "--device", "cpu"),
        *("--decoder", "pillow", "--workers", 1, "--out", run),
        *("--set", "image_size=8", "--set", "worker_kind=threads", "--set", "threads=1"),
    )


def test_they_are_left_out_if_wanted(gpunn: Gpunn, photographs: Path, tmp_path: Path) -> None:
    """Also those that are looked at before the run begins: all are, of so few."""
    truncate(photographs / "train" / "bee" / "2.jpg")
    truncate(photographs / "val" / "cat" / "0.jpg")
    run = tmp_path / "run"
    result = gpunn(*options(photographs, run), "--unreadable", "skip")
    assert (result.status, result.error) == (0, "")
    told = [line for line in result.out.splitlines() if line.startswith("left out: ")]
    assert len(told) == 2
    assert "bee/2.jpg" in told[0]
    assert "cat/0.jpg" in told[1]
    assert result.out.count("  2 left out") == 2
    assert [record["skipped_images"] for record in records_of(run)] == [2, 2]
    measured = gpunn("evaluate", run, "--json", "--device", "cpu")
    assert json.loads(measured.out)["images"] == 5
    assert measured.error.endswith("note: 1 of 6 images cannot be read and are left out\n")


def test_pictures_are_left_out_also_where_those_that_are_measured_are_of_one_class(
    gpunn: Gpunn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a run up to 500 pictures are looked at, here four: neither of the bees is one of them."""
    monkeypatch.setattr("gpunn.data.adaptation._MEASURED_PICTURES", 4)
    tree = tmp_path / "tree"
    for half in ("train", "val"):
        write_tree(tree / half, {"ant": 18, "bee": 2})
    result = gpunn(*options(tree, tmp_path / "run"), "--unreadable", "skip")
    assert (result.status, result.error) == (0, "")


def test_a_run_of_which_no_picture_can_be_read_is_refused(gpunn: Gpunn, photographs: Path, tmp_path: Path) -> None:
    for path in (photographs / "train").rglob("*.jpg"):
        truncate(path)
    result = gpunn(*options(photographs, tmp_path / "run"), "--unreadable", "skip")
    assert result.status == 3
    assert "of 15 training images none can be read, such as " in result.error
    assert "ant/0.jpg" in result.error


@pytest.mark.parametrize("remedy", ["mended", "skipped"])
def test_the_run_ends_and_can_be_gone_on_with(gpunn: Gpunn, photographs: Path, tmp_path: Path, remedy: str) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert gpunn(*options(photographs, whole)).status == 0
    path = photographs / "val" / "cat" / "0.jpg"
    content = truncate(path)
    result = gpunn(*options(photographs, run))
    assert (result.status, result.error.count("\n")) == (3, 1)
    assert "cat/0.jpg" in result.error
    assert f"A snapshot was written at step 3; mend the file and go on with gpunn train --resume {run}" in result.error
    if remedy == "mended":
        path.write_bytes(content)
        # The data set was begun with the damaged file.
        assert "--allow-changed-data" in gpunn("train", "--resume", run).error
        assert gpunn("train", "--resume", run, "--allow-changed-data").status == 0
        assert records_of(run) == records_of(whole)
    else:
        assert gpunn("train", "--resume", run, "--unreadable", "skip").status == 0
        assert [record["skipped_images"] for record in records_of(run)] == [1, 1]
        assert records_of(run)[0]["train_loss"] == records_of(whole)[0]["train_loss"]


def test_one_from_the_very_start_ends_it_before_it_begins(gpunn: Gpunn, photographs: Path, tmp_path: Path) -> None:
    truncate(photographs / "train" / "bee" / "2.jpg")
    result = gpunn(*options(photographs, tmp_path / "run"))
    assert (result.status, result.error.count("\n")) == (3, 1)
    assert result.error.endswith(
        "remove or replace it. Such images can be left out with --unreadable skip; "
        f"gpunn data check {photographs} lists them all\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_file_that_breaks_in_the_middle_is_left_out_as_the_message_says(
    gpunn: Gpunn, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fingerprint of the data is another then."""
    run = tmp_path / "run"
    original = Trainer.fit

    def fit(trainer: Trainer) -> Iterator[EpochRecord]:
        for record in original(trainer):
            truncate(photographs / "val" / "cat" / "0.jpg")
            yield record

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", fit)
        result = gpunn(*options(photographs, run))
    assert result.status == 3
    assert f"gpunn train --resume {run} --unreadable skip; add --allow-changed-data if the file was" in result.error
    refused = gpunn("train", "--resume", run, "--unreadable", "skip")
    assert (refused.status, "--allow-changed-data" in refused.error) == (7, True)
    assert gpunn("train", "--resume", run, "--unreadable", "skip", "--allow-changed-data").status == 0
    assert [record["skipped_images"] for record in records_of(run)] == [0, 1]


def test_a_quarantine_is_written_and_read(gpunn: Gpunn, photographs: Path, tmp_path: Path) -> None:
    truncate(photographs / "train" / "bee" / "2.jpg")
    first, second = tmp_path / "first", tmp_path / "second"
    told = gpunn(*options(photographs, first), "--unreadable", "quarantine")
    assert told.status == 0
    assert told.out.count(f"images that could not be read are listed; --quarantine {first / 'quarantine.jsonl'} ") == 1
    lines = [json.loads(line) for line in (first / "quarantine.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == ["train/bee/2.jpg"]
    assert lines[0]["reason"].startswith("truncated or damaged (")
    result = gpunn(*options(photographs, second), "--quarantine", first / "quarantine.jsonl")
    assert (result.status, result.error) == (0, "")
    assert "1 left out by the quarantine" in result.out
    assert [record["skipped_images"] for record in records_of(second)] == [0, 0]
    found = RunFolder(second).read_configuration()
    assert found["quarantine"] == str(first / "quarantine.jsonl")
    assert gpunn("train", "--resume", second).status == 0
    again = tmp_path / "again"
    assert gpunn("train", "--config", second / "config.toml", "--out", again).status == 0
    assert_same_run(again, second)


def test_what_auto_became_is_kept(gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
    given = ("train", "--data", data, "--model", "mlp", "--epochs", 1, "--device", "cpu")
    assert gpunn(*given, "--out", tmp_path / "run").status == 0
    expected = by_name.decoder("auto").name
    assert RunFolder(tmp_path / "run").read_configuration()["decoder"] == expected
    refused = gpunn("train", "--resume", tmp_path / "run", "--decoder", "pillow")
    assert (refused.status, "leave out --decoder" in refused.error) == (2, True)


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_run_of_the_fast_decoder_where_it_is_not_installed(
    gpunn: Gpunn, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_name.decoder("auto").name != "fast":
        pytest.skip("the extra 'fast' is not installed")
    run = tmp_path / "run"
    assert gpunn(*options(photographs, run), "--decoder", "fast").status == 0
    monkeypatch.setattr(by_name, "find_spec", lambda _: None)
    refused = gpunn("train", "--resume", run)
    assert (refused.status, refused.error.count("\n")) == (2, 1)
    assert "gpunn[fast]" in refused.error
    measured = gpunn("evaluate", run, "--json", "--device", "cpu")
    assert measured.status == 0
    assert measured.error.startswith("note: trained with the decoder 'fast', and Pillow reads these images")
    asked = gpunn("predict", run, photographs / "val" / "ant" / "0.jpg", "--device", "cpu")
    assert (asked.status, "Pillow reads these images" in asked.error) == (0, True)


def test_runs_that_do_not_name_a_decoder_were_made_with_pillow(gpunn: Gpunn, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    configuration = RunFolder(run).read_configuration()
    del configuration["decoder"]
    RunFolder(run).write_configuration(configuration)
    result = gpunn("train", "--resume", run)
    if by_name.decoder("auto").name == "pillow":
        assert result.status == 0
    else:
        assert "decoder is 'pillow', was 'fast'" in result.error


def test_a_first_step_that_fails_leaves_no_folder(
    gpunn: Gpunn, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(*_: object, **__: object) -> None:
        raise DeviceError("the device is lost")

    monkeypatch.setattr(Learner, "learn", learn)
    out = tmp_path / "run"
    result = gpunn("train", "--data", data, "--model", "mlp", "--device", "cpu", "--out", out)
    assert (result.status, result.error) == (4, "error: the device is lost\n")
    assert not out.exists()


def test_a_run_that_has_begun_stays(gpunn: Gpunn, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Learner.learn
    calls = 0

    def learn(learner: Learner, *arguments: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise DeviceError("the device is lost")
        original(learner, *arguments, **named)

    monkeypatch.setattr(Learner, "learn", learn)
    out = tmp_path / "run"
    assert gpunn("train", "--data", data, "--model", "mlp", "--device", "cpu", "--out", out).status == 4
    assert (out / "checkpoints" / "last.safetensors").exists()


def test_a_precision_that_the_device_lacks_is_not_offered_to_change(gpunn: Gpunn, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    given = ("train", "--data", data, "--model", "mlp", "--epochs", 1, "--batch-size", 50, "--out", run)
    assert gpunn(*given, "--device", "emulator", "--precision", "bfloat16").status == 0
    result = gpunn("train", "--resume", run, "--device", "cpu")
    assert (result.status, result.error.count("\n")) == (4, 1)
    assert "the run computes in bfloat16, and cpu does not; go on with it on " in result.error
    assert "--precision" not in result.error


def test_crops_are_one_or_ten(gpunn: Gpunn, trained: Path) -> None:
    assert gpunn("evaluate", trained, "--crops", 5).error == "error: --crops is 1 or 10, not 5\n"
    result = gpunn("evaluate", trained, "--crops", 10)
    assert (result.status, "leave --crops out" in result.error) == (2, True)
