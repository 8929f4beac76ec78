"""What each epoch brought: one line of metrics.jsonl an epoch, and the same as a table, metrics.csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

from gpunn.durable_files import append_to_file, replace_file, write_failure
from gpunn.errors import CheckpointError


@dataclass(frozen=True)
class EpochRecord:
    """The figures of one epoch.

    Attributes:
        epoch: epochs done, this one included.
        step: updates of the weights since the run began.
        train_loss: mean over the epoch's images, in training mode: all objectives, weighted and added, without the
            penalties on weights.
        train_top1: part of the training images whose class was guessed, 0 to 1; NaN where nothing ranks classes.
        validation_loss: mean over the validation images, without label smoothing; None where none were looked at.
        validation_top1: part of the validation images whose class was the first guess, 0 to 1; None where none were
            looked at or nothing ranks classes, as the next.
        validation_top5: part whose class was among the first five guesses, 0 to 1.
        learning_rate: of the epoch's last step.
        images_per_second: training images, waiting included.
        seconds: duration of the epoch, validation included.
        data_wait_fraction: part of the training time spent waiting for images, 0 to 1.
        decode_fractions: part of the training time in which each worker was reading images, 0 to 1; None, as for the
            next two, in records of versions that did not measure it.
        copy_fraction: part of the training time spent giving images to the device, 0 to 1; see `TimeSpent`.
        compute_fraction: the rest of the training time, 0 to 1.
        skipped_images: training and validation images that could not be read and were left out.
    """

    epoch: int
    step: int
    train_loss: float
    train_top1: float
    validation_loss: float | None
    validation_top1: float | None
    validation_top5: float | None
    learning_rate: float
    images_per_second: float
    seconds: float
    data_wait_fraction: float
    decode_fractions: tuple[float, ...] | None = None
    copy_fraction: float | None = None
    compute_fraction: float | None = None
    skipped_images: int = 0


_FIELDS = tuple(field.name for field in fields(EpochRecord))
_REQUIRED = tuple(field.name for field in fields(EpochRecord) if field.default is MISSING)
_WHOLE = ("epoch", "step", "skipped_images")
_OPTIONAL = (
    *("validation_loss", "validation_top1", "validation_top5"),
    *("decode_fractions", "copy_fraction", "compute_fraction"),
)


class History:
    """The records of a run, kept on the disk as they come.

    Args:
        lines: metrics.jsonl.
        table: metrics.csv.
        epochs_done: records of later epochs are cut: they belong to epochs that a resumed run does again. 0 begins
            anew.

    Raises:
        CheckpointError: when the files cannot be written, or a line other than the last is damaged.
    """

    def __init__(self, lines: Path, table: Path, *, epochs_done: int) -> None:
        self._lines = lines
        self._table = table
        self._records = [record for record in read_records(lines) if record.epoch <= epochs_done]
        self._replace(lines, "".join(map(_line, self._records)))
        self._replace(table, _csv(self._records))

    @property
    def records(self) -> tuple[EpochRecord, ...]:
        """All records so far, in order."""
        return tuple(self._records)

    def append(self, record: EpochRecord) -> None:
        """Add one epoch to both files; the line is on the disk when this returns.

        Raises:
            CheckpointError: when the disk refuses.
        """
        try:
            append_to_file(self._lines, _line(record).encode())
        except OSError as error:
            raise write_failure(self._lines, error) from error
        self._records.append(record)
        self._replace(self._table, _csv(self._records))

    def _replace(self, path: Path, text: str) -> None:
        try:
            replace_file(path, [text.encode()])
        except OSError as error:
            raise write_failure(path, error) from error


def read_records(lines: Path) -> list[EpochRecord]:
    """The records of metrics.jsonl; a last line that a crash tore is dropped, and a file not there has none.

    Raises:
        CheckpointError: when the file cannot be read or another line is damaged; the text names the line.
    """
    try:
        texts = lines.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"cannot read {str(lines)!r}: {error.strerror}; check the file") from error
    # A whole line ends with a newline, so what follows the last newline is nothing, or torn.
    records = []
    for number, text in enumerate(texts[:-1], start=1):
        try:
            records.append(_record(text))
        except (ValueError, TypeError) as error:
            raise CheckpointError(
                f"{str(lines)!r}, line {number} is not the record of an epoch ({error}); remove that line"
            ) from error
    return records


def _line(record: EpochRecord) -> str:
    # JSON knows no infinity and no NaN; null can be read by every tool.
    values = {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in asdict(record).items()
    }
    return json.dumps(values, allow_nan=False) + "\n"


def _record(text: bytes) -> EpochRecord:
    values: Any = json.loads(text)
    if not isinstance(values, dict) or not set(_REQUIRED) <= set(values) <= set(_FIELDS):
        raise ValueError(f"expected the fields {', '.join(_FIELDS)}")
    return EpochRecord(**{name: _value(name, value) for name, value in values.items()})


def _value(name: str, value: Any) -> Any:
    if name != "decode_fractions" or value is None:
        return _number(name, value)
    if not isinstance(value, list):
        raise ValueError(f"{name} is {value!r}")
    return tuple(_number(name, part) for part in value)


def _number(name: str, value: Any) -> Any:
    if value is None and name not in _WHOLE:
        return None if name in _OPTIONAL else float("nan")
    if isinstance(value, bool) or not isinstance(value, int if name in _WHOLE else int | float):
        raise ValueError(f"{name} is {value!r}")
    return int(value) if name in _WHOLE else float(value)


def _csv(records: Sequence[EpochRecord]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        fractions = record.decode_fractions or ()
        writer.writerow({**asdict(record), "decode_fractions": " ".join(map(str, fractions))})
    return text.getvalue()
