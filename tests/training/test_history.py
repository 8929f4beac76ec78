"""metrics.jsonl and metrics.csv: one record an epoch, through crashes and resumes."""

from __future__ import annotations

import csv
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from gpunn.errors import CheckpointError
from gpunn.training.history import EpochRecord, History, read_records

FIELDS = [
    "epoch",
    "step",
    "train_loss",
    "train_top1",
    "validation_loss",
    "validation_top1",
    "validation_top5",
    "learning_rate",
    "images_per_second",
    "seconds",
    "data_wait_fraction",
    "decode_fractions",
    "copy_fraction",
    "compute_fraction",
    "skipped_images",
]


def record_of(epoch: int) -> EpochRecord:
    figures = (0.1 + 0.2, 0.5, 1 / 3, 0.625, 0.875, 0.05 / epoch, 812.5, 5.25, 0.01)
    return EpochRecord(epoch, 63 * epoch, *figures, (0.9, 1 / 7), 0.03, 0.96, epoch - 1)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_the_fields_are_those_of_the_file_format() -> None:
    assert [field.name for field in fields(EpochRecord)] == FIELDS


def test_records_reach_both_files_as_they_come(lines: Path, table: Path) -> None:
    history = History(lines, table, epochs_done=0)
    assert lines.read_text() == ""
    for epoch in (1, 2):
        history.append(record_of(epoch))
        assert len(lines.read_text().splitlines()) == epoch
    assert history.records == (record_of(1), record_of(2))
    assert read_records(lines) == [record_of(1), record_of(2)]
    assert list(json.loads(lines.read_text().splitlines()[0])) == FIELDS
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == FIELDS
    assert [float(row["learning_rate"]) for row in rows] == [0.05, 0.025]
    assert [int(row["step"]) for row in rows] == [63, 126]
    assert [float(part) for part in rows[0]["decode_fractions"].split()] == [0.9, 1 / 7]


def test_a_resumed_run_cuts_the_epochs_it_does_again(lines: Path, table: Path) -> None:
    first = History(lines, table, epochs_done=0)
    for epoch in (1, 2, 3):
        first.append(record_of(epoch))
    resumed = History(lines, table, epochs_done=1)
    assert resumed.records == (record_of(1),)
    assert len(table.read_text().splitlines()) == 2
    resumed.append(record_of(2))
    assert read_records(lines) == [record_of(1), record_of(2)]


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(lines: Path, table: Path) -> None:
    history = History(lines, table, epochs_done=0)
    history.append(record_of(1))
    first = lines.stat().st_size
    history.append(record_of(2))
    whole = lines.read_bytes()
    for length in range(first, len(whole)):
        lines.write_bytes(whole[:length])
        assert read_records(lines) == [record_of(1)]
    resumed = History(lines, table, epochs_done=2)
    resumed.append(record_of(2))
    assert lines.read_bytes() == whole


@pytest.mark.parametrize("damage", ["{", "null", "{}", '{"epoch": 1}', "\x00", "[]"])
def test_a_damaged_line_elsewhere_is_named(lines: Path, table: Path, damage: str) -> None:
    history = History(lines, table, epochs_done=0)
    history.append(record_of(1))
    lines.write_text(f"{lines.read_text()}{damage}\n{lines.read_text()}")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl', line 2 is not the record.*remove that line"):
        read_records(lines)


def test_a_run_begun_by_a_version_that_measured_less_goes_on(lines: Path, table: Path) -> None:
    History(lines, table, epochs_done=0).append(record_of(1))
    values = json.loads(lines.read_text())
    for name in ("decode_fractions", "copy_fraction", "compute_fraction", "skipped_images"):
        del values[name]
    lines.write_text(json.dumps(values) + "\n")
    history = History(lines, table, epochs_done=1)
    unmeasured = replace(
        record_of(1), decode_fractions=None, copy_fraction=None, compute_fraction=None, skipped_images=0
    )
    assert history.records == (unmeasured,)
    history.append(record_of(2))
    assert read_records(lines) == [unmeasured, record_of(2)]
    with table.open(newline="") as file:
        assert [row["copy_fraction"] for row in csv.DictReader(file)] == ["", "0.03"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("epoch", 1.5), ("epoch", None), ("seconds", "long"), ("step", True), ("skipped_images", None)),
        *(("decode_fractions", [0.5, "much"]), ("decode_fractions", 0.5)),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(lines: Path, table: Path, field: str, value: object) -> None:
    History(lines, table, epochs_done=0).append(record_of(1))
    lines.write_text(json.dumps({**json.loads(lines.read_text()), field: value}) + "\n")
    with pytest.raises(CheckpointError, match=field):
        read_records(lines)


def test_a_run_without_validation(lines: Path, table: Path) -> None:
    record = replace(record_of(1), validation_loss=None, validation_top1=None, validation_top5=None)
    History(lines, table, epochs_done=0).append(record)
    assert read_records(lines) == [record]
    assert ",,," in table.read_text()


def test_what_is_not_finite_stays_json(lines: Path, table: Path) -> None:
    record = replace(record_of(1), train_loss=float("inf"), validation_loss=float("nan"))
    History(lines, table, epochs_done=0).append(record)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(lines.read_text(), parse_constant=refuse)
    assert found["train_loss"] is None
    [back] = read_records(lines)
    assert back.train_loss != back.train_loss
    assert back.validation_loss is None


def test_a_file_that_is_not_there_has_no_records(lines: Path) -> None:
    assert read_records(lines) == []


def test_a_disk_that_refuses_is_surfaced(lines: Path, table: Path) -> None:
    history = History(lines, table, epochs_done=0)
    history.append(record_of(1))
    lines.unlink()
    lines.mkdir()
    with pytest.raises(CheckpointError, match=r"cannot write '.*metrics\.jsonl': Is a directory"):
        history.append(record_of(2))
    with pytest.raises(CheckpointError, match="cannot read"):
        read_records(lines)
    assert history.records == (record_of(1),)
