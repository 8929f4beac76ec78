"""Settings: where they come from, which win, and what is said about wrong ones."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gpunn.errors import UsageError
from gpunn.models import MODELS, Recipe
from gpunn.training.configuration import Configuration, configure, parse_assignments
from gpunn.training.experiment import with_recipe
from gpunn.training.run_folder import RunFolder


def test_later_sources_win() -> None:
    recipe = Recipe(epochs=7, batch_size=128, learning_rate=0.3)
    found = configure({"epochs": 3, "seed": 1}, {"seed": 2}, recipe=recipe)
    assert (found.epochs, found.seed, found.batch_size, found.learning_rate) == (3, 2, 128, 0.3)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_recipe_can_be_configured(name: str) -> None:
    found = with_recipe({"model": name})
    recipe = MODELS[name].recipe
    assert (found.epochs, found.learning_rate, found.schedule) == (recipe.epochs, recipe.learning_rate, recipe.schedule)


def test_another_optimizer_starts_at_its_own_rate() -> None:
    """The rate of SGD would throw Adam off."""
    assert with_recipe({"model": "lenet", "optimizer": "adam"}).learning_rate == 0.001
    assert with_recipe({"model": "lenet", "optimizer": "adam", "learning_rate": 0.5}).learning_rate == 0.5
    assert with_recipe({"model": "lenet", "optimizer": "sgd"}).learning_rate == MODELS["lenet"].recipe.learning_rate


def test_what_suits_a_data_set_stands_over_the_recipe_and_below_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    suggested = {"epochs": 12, "learning_rate": 0.07}
    monkeypatch.setattr(
        "gpunn.training.experiment.suggested_settings", lambda name: suggested if name == "fashion-mnist" else {}
    )
    given = {"data": "fashion-mnist", "model": "lenet"}
    assert with_recipe({"model": "lenet"}).epochs == MODELS["lenet"].recipe.epochs
    found = with_recipe(given)
    assert (found.epochs, found.learning_rate) == (12, 0.07)
    assert found.weight_decay == MODELS["lenet"].recipe.weight_decay
    assert with_recipe({"epochs": 3}, given).epochs == 3
    assert with_recipe(given, {"optimizer": "adam"}).learning_rate == 0.001


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epoch": 3}, "no setting 'epoch'; did you mean 'epochs'"),
        ({"qqq": 3}, "no setting 'qqq'; known are data, model"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": "many"}, "epochs is 'many'"),
        ({"epochs": True}, "epochs is True"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"batch_size": -4}, "batch_size is -4"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"weight_decay": -1e-9}, "weight_decay is -1e-09"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"reduction": "max"}, "reduction is 'max'"),
        ({"optimizer": "sdg"}, "optimizer is 'sdg'"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, f"seed is {2**63}"),
        ({"patience": 0}, "patience is 0"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"image_size": 0}, "image_size is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"worker_kind": "fibres"}, "worker_kind is 'fibres'"),
        ({"decoder": "turbo"}, "decoder is 'turbo'"),
        ({"unreadable": "ignore"}, "unreadable is 'ignore'"),
        ({"quarantine": 3}, "quarantine is 3"),
        ({"data_timeout": 0.0}, "data_timeout is 0.0"),
        ({"data_timeout": float("inf")}, "data_timeout is inf"),
        ({"checkpoint_seconds": float("inf")}, "checkpoint_seconds is inf"),
        ({"data": 3}, "data is 3"),
        ({"keep_empty_classes": "yes"}, "keep_empty_classes is 'yes'"),
        ({"data": {"path": "x"}}, "data is {'path': 'x'}"),
    ],
)
def test_wrong_settings_are_named_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        configure(settings)
    assert str(caught.value).startswith(said) or said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_number_serves_as_a_rate() -> None:
    assert configure({"learning_rate": 1, "clip_norm": 5}).learning_rate == 1.0


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("momentum=0.95", "momentum", 0.95),
        ("epochs=3", "epochs", 3),
        ("keep_empty_classes=true", "keep_empty_classes", True),
        ('schedule="step:30,0.1"', "schedule", "step:30,0.1"),
        ("schedule=step:30,0.1", "schedule", "step:30,0.1"),
        ("schedule=warmup:2,cosine", "schedule", "warmup:2,cosine"),
        ("data=a=b", "data", "a=b"),
        ("data=", "data", ""),
        (" epochs =3", "epochs", 3),
        ("data=1\nepochs=3", "data", "1\nepochs=3"),
    ],
)
def test_assignments(text: str, name: str, value: object) -> None:
    assert parse_assignments([text]) == {name: value}


@pytest.mark.parametrize("text", ["momentum", "=3", ""])
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(UsageError, match="key=value"):
        parse_assignments([text])


def test_the_last_assignment_wins() -> None:
    assert parse_assignments(["epochs=1", "epochs=2"]) == {"epochs": 2}


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    found = configure({"data": 'odd "name"\\', "seed": 2**63 - 1, "learning_rate": 0.1 + 0.2, "clip_norm": 1e-300})
    RunFolder(tmp_path).write_configuration(found.model_dump())
    assert configure(tomllib.loads((tmp_path / "config.toml").read_text())) == found


def test_every_setting_is_described() -> None:
    lines = [line.strip() for line in (Configuration.__doc__ or "").splitlines()]
    documented = {line.partition(":")[0] for line in lines if ":" in line}
    assert set(Configuration.model_fields) <= documented
