"""From settings or a run's folder to a trainer, and what a trained run says about images."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpunn.errors import CheckpointError, DataError, DeviceError, DivergedError, ShapeError, UsageError
from gpunn.models import model
from gpunn.training import fit_network, load_run, new_run, open_device, resume_run, with_recipe
from gpunn.training.checkpoint_file import read_checkpoint, write_checkpoint
from gpunn.training.evaluation import evaluate_run
from gpunn.training.observer import Silence
from gpunn.training.prediction import predict_images
from gpunn.training.run_folder import read_toml
from gpunn.training.trainer import Trainer
from tests.data.pictures import write_tree
from tests.training.runs import Recorder, assert_same_run, records_of, state_of, striped, stripes, write_stripes

pytestmark = pytest.mark.usefixtures("no_curves")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stripes(tmp_path_factory.mktemp("data") / "stripes.npz")


def settings(path: Path, **others: Any) -> dict[str, Any]:
    return {
        "data": str(path),
        "model": "mlp",
        "epochs": 2,
        "batch_size": 16,
        "threads": 2,
        "learning_rate": 0.05,
        "augmentation": "none",
        **others,
    }


def begin(out: Path, given: Mapping[str, Any], epochs: int = 99) -> Trainer:
    """Train so many epochs of a new run."""
    trainer = new_run(with_recipe(given), out, Silence())
    for record in trainer.fit():
        if record.epoch >= epochs:
            break
    return trainer


def killed_in_its_first_epoch(data: Path, out: Path) -> None:
    trainer = new_run(with_recipe(settings(data)), out, Silence())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_epoch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            next(trainer.fit())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    begin(out, settings(data))
    return out


def test_evaluation_repeats_what_training_measured(trained: Path) -> None:
    """Exactly: the loss too."""
    best = state_of(trained, "best")["progress"]["epoch"]
    record = records_of(trained)[best - 1]
    found = evaluate_run(trained, None, "cpu").totals
    assert (found.mean_loss, found.top1_rate, found.top5_rate, found.images) == (
        record["validation_loss"],
        record["validation_top1"],
        record["validation_top5"],
        21,
    )


def test_evaluation_of_other_images(trained: Path, data: Path, tmp_path: Path) -> None:
    again = evaluate_run(trained, str(data), "cpu")
    assert again == evaluate_run(trained, None, "cpu")
    pictures, labels = striped(9, 2)
    for half in ("whole", "with_val/val"):
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            folder = tmp_path / half / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture[..., 0]).save(folder / f"{number}.png")
    found = evaluate_run(trained, str(tmp_path / "whole"), "cpu")
    assert found.totals.images == 9
    assert found == evaluate_run(trained, str(tmp_path / "with_val"), "cpu")


def test_images_of_other_classes_are_refused(trained: Path, tmp_path: Path) -> None:
    write_tree(tmp_path, {"cats": 2, "dogs": 2})
    with pytest.raises(DataError, match="'cats', 'dogs'"):
        evaluate_run(trained, str(tmp_path), "cpu")
    with pytest.raises(DataError, match="does not exist"):
        evaluate_run(trained, str(tmp_path / "nothing"), "cpu")


def test_predictions_agree_with_the_labels(trained: Path, tmp_path: Path) -> None:
    pictures, labels = striped(6, 9)
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture[..., 0]).convert("RGB").resize((24, 24), Image.Resampling.NEAREST).save(path)
    found = list(predict_images(trained, paths, 2, "cpu"))
    assert [answer.image for answer in found] == paths
    for answer, label in zip(found, labels, strict=True):
        first, second = answer.predictions
        assert first.name == str(label)
        assert 1 >= first.probability >= second.probability >= 0
    (every,) = predict_images(trained, paths[:1], 99, "cpu")
    assert sum(prediction.probability for prediction in every.predictions) == pytest.approx(1)
    assert {prediction.name for prediction in every.predictions} == {"0", "1", "2"}


def test_the_whole_state_is_written_before_the_first_step(data: Path, tmp_path: Path) -> None:
    """A run that is killed in its first epoch can be resumed."""
    killed_in_its_first_epoch(data, tmp_path / "run")
    resumed = resume_run(tmp_path / "run", Silence())
    assert len(list(resumed.fit())) == 2


def test_a_configuration_file_repeats_the_run(trained: Path, tmp_path: Path) -> None:
    begin(tmp_path / "again", read_toml(trained / "config.toml"))
    assert_same_run(tmp_path / "again", trained)


def test_resuming_takes_the_thread_count_of_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with another number of cores; the sums of a wide layer are split over the threads."""
    given = settings(data, model="lecture-cnn", image_size=16, batch_size=8)
    del given["threads"]
    monkeypatch.setenv("GPUNN_THREADS", "2")
    begin(tmp_path / "whole", given)
    begin(tmp_path / "parts", given, epochs=1)
    monkeypatch.setenv("GPUNN_THREADS", "1")
    observer = Recorder()
    resumed = resume_run(tmp_path / "parts", observer)
    plan = {"cpu_threads": 2, "cpu_algorithm": "auto"}
    assert dict(resumed.learner.device.thread_plan()) == plan
    list(resumed.fit())
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert dict(load_run(tmp_path / "parts", "cpu").learner.device.thread_plan()) == plan


def test_edited_settings_are_refused(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    begin(run, settings(data), epochs=1)
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("batch_size = 16", "batch_size = 32").replace("threads = 2\n", ""))
    with pytest.raises(CheckpointError, match="batch_size is 32, was 16") as caught:
        resume_run(run, Silence())
    assert "threads" not in str(caught.value)
    (run / "config.toml").write_text(text + "workers = 3\n")
    assert len(list(resume_run(run, Silence()).fit())) == 1


def test_data_may_move(data: Path, tmp_path: Path) -> None:
    """They are known by what they hold."""
    moved = tmp_path / "moved.npz"
    run = tmp_path / "run"
    shutil.copy(data, moved)
    begin(run, settings(moved), epochs=1)
    moved.rename(tmp_path / "elsewhere.npz")
    with pytest.raises(DataError, match="does not exist"):
        resume_run(run, Silence())
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("moved.npz", "elsewhere.npz"))
    assert len(list(resume_run(run, Silence()).fit())) == 1


def test_changed_data_are_refused_unless_allowed(tmp_path: Path) -> None:
    data = write_stripes(tmp_path / "stripes.npz")
    run = tmp_path / "run"
    begin(run, settings(data), epochs=1)
    write_stripes(data, train=53)
    with pytest.raises(CheckpointError, match="--allow-changed-data"):
        resume_run(run, Silence())
    assert len(list(resume_run(run, Silence(), changed_data=True).fit())) == 1


def test_a_checkpoint_of_another_network_gives_a_table(data: Path, trained: Path, tmp_path: Path) -> None:
    """Someone copied it over; nothing is changed."""
    run = tmp_path / "run"
    begin(run, settings(data, model="lecture-cnn", image_size=16), epochs=1)
    shutil.copy(trained / "checkpoints" / "last.safetensors", run / "checkpoints" / "last.safetensors")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match="does not fit network") as caught:
        resume_run(run, Silence())
    assert caught.value.exit_code == 7
    assert any(line.startswith("fc1.weight") and line.endswith("unexpected") for line in str(caught.value).splitlines())
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_checkpoint_of_another_number_of_classes_gives_a_table(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    pictures, labels = striped(40, 1)
    np.savez(
        tmp_path / "five.npz",
        train_images=pictures,
        train_labels=np.arange(40) % 5,
        validation_images=pictures,
        validation_labels=labels,
    )
    text = (run / "config.toml").read_text()
    lines = [f'data = "{tmp_path}/five.npz"' if line.startswith("data =") else line for line in text.splitlines()]
    (run / "config.toml").write_text("\n".join(lines))
    with pytest.raises(CheckpointError) as caught:
        resume_run(run, Silence(), changed_data=True)
    assert ["fc3.weight", "100x5", "100x3", "different", "shape"] in [
        line.split() for line in str(caught.value).splitlines()
    ]


def damage(path: Path) -> None:
    """Flip a bit near the end, where the tensors are."""
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)


def test_a_damaged_last_checkpoint_without_others_is_refused(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    for name in ("best", "previous"):
        (run / "checkpoints" / f"{name}.safetensors").unlink()
    damage(run / "checkpoints" / "last.safetensors")
    with pytest.raises(CheckpointError, match="does not match its SHA-256"):
        load_run(run, "cpu")


def test_where_the_best_is_damaged_the_last_serves_and_says_so(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    damage(run / "checkpoints" / "best.safetensors")
    found = evaluate_run(run, None, "cpu")
    assert found.totals == evaluate_run(run / "checkpoints" / "last.safetensors", None, "cpu").totals
    assert any("best.safetensors" in note and "latest checkpoint" in note for note in found.notes)


def test_a_checkpoint_needs_nothing_beside_it(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "checkpoints" / "best.safetensors", tmp_path / "alone.safetensors")
    Image.fromarray(striped(1, 9)[0][0, ..., 0]).save(tmp_path / "stripes.png")
    found = list(predict_images(tmp_path / "alone.safetensors", [tmp_path / "stripes.png"], 3, "cpu"))
    assert found == list(predict_images(trained, [tmp_path / "stripes.png"], 3, "cpu"))


def test_before_the_first_epoch_ends_the_last_weights_serve(data: Path, tmp_path: Path) -> None:
    killed_in_its_first_epoch(data, tmp_path / "run")
    assert evaluate_run(tmp_path / "run", None, "cpu").totals.images == 21


def test_weights_that_are_not_finite_predict_nothing(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    best = run / "checkpoints" / "best.safetensors"
    tensors, manifest = read_checkpoint(best)
    tensors["fc1.weight"] = np.full_like(tensors["fc1.weight"], np.nan)
    write_checkpoint(best, tensors, manifest)
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(tmp_path / "black.png")
    with pytest.raises(DivergedError):
        evaluate_run(run, None, "cpu")
    with pytest.raises(DivergedError):
        list(predict_images(run, [tmp_path / "black.png"], 1, "cpu"))


def test_files_that_are_no_images_have_no_predictions(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("<html>")
    paths = [tmp_path / "page.png", tmp_path / "missing.png"]
    page, missing = predict_images(trained, paths, 1, "cpu")
    assert [page.image, missing.image] == paths
    assert page.predictions == missing.predictions == ()
    assert page.error is not None
    assert missing.error == "No such file or directory"


def test_devices_and_precisions(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        open_device("cuda")
    with pytest.raises(UsageError, match="'gpu' is not known"):
        open_device("gpu")
    device, line = open_device("auto", 1)
    assert (device.name, line.split(":")[0]) == ("cpu", "device")
    for name in ("bfloat16", "float16", "tf32"):
        with pytest.raises(DeviceError, match=f"precision {name}"):
            new_run(with_recipe(settings(data, precision=name)), tmp_path / "run", Silence())
    with pytest.raises(UsageError, match="'half' is not known"):
        new_run(with_recipe(settings(data, precision="half")), tmp_path / "run", Silence())
    assert list(tmp_path.iterdir()) == []


def test_double_precision_is_kept_as_such(data: Path, tmp_path: Path) -> None:
    begin(tmp_path, settings(data, precision="float64", epochs=1))
    assert state_of(tmp_path)["fc1.weight"][0] == "<f8"
    assert evaluate_run(tmp_path, None, "cpu").totals.mean_loss == records_of(tmp_path)[0]["validation_loss"]


def test_what_is_wrong_with_the_settings_is_said_before_a_folder_is_made(data: Path, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"model": "lenet"}, ShapeError),
        ({"model": "nolenet"}, UsageError),
        ({"schedule": "sometimes"}, UsageError),
        ({"device": "cuda"}, DeviceError),
        ({"data": str(tmp_path / "nothing")}, DataError),
    ]
    for given, kind in wrong:
        with pytest.raises(kind):
            new_run(with_recipe(settings(data, **given)), tmp_path / "run", Silence())
    assert list(tmp_path.iterdir()) == []


def test_a_model_meets_pictures_of_another_size() -> None:
    split = stripes()
    flexible = fit_network(model("mlp"), split.train)
    assert flexible.network.image.shape == (12, 12, 1)
    assert flexible.lines == ()
    as_before = fit_network(model("lenet"), split.train, resized=True)
    assert as_before.network.image.shape == (28, 28, 1)
    assert as_before.lines == ("resize the shorter side to 32, take the centre 28x28",)
    larger = fit_network(model("lenet"), split.train, image_size=20)
    assert larger.network.image.shape == (20, 20, 1)
    assert larger.lines == ("resize 12x12 to 20x20",)
    fixed = fit_network(model("vgg11-cifar"), split.train)
    assert fixed.network.image.shape == (32, 32, 3)
    assert fixed.lines == ("resize 12x12 to 32x32", "repeat gray to RGB")
