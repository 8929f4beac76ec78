"""The folder of one training run: where each of its files lies, and its configuration."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from gpunn import heartbeat
from gpunn.durable_files import replace_file, write_failure
from gpunn.errors import UsageError
from gpunn.training.toml_text import to_toml

_PARENT = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run; the folder is made by `create` and found again by `open`."""

    path: Path

    @classmethod
    def create(cls, out: Path | None, name: str, *, now: datetime | None = None) -> RunFolder:
        """Make the folder of a new run; nothing that is there is ever written over.

        Args:
            out: this very folder, which must be new or empty; None makes `runs/NAME-DATE-TIME`, with a number
                behind it when that is taken.
            name: what the run is about, as in "lenet-digits".
            now: the time for the name; None asks the clock.

        Raises:
            UsageError: when `out` is in use, or the folder cannot be made.
        """
        try:
            if out is None:
                return cls(_fresh_folder(name, now or datetime.now()))
            require_unused(out)
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot make the folder {str(error.filename)!r}: {error.strerror}; give another one with --out"
            ) from error
        return cls(out)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The folder of a run that was trained before.

        Raises:
            UsageError: when there is none, or it is no folder of a run.
        """
        run = cls(path)
        if not path.is_dir():
            raise UsageError(f"there is no folder {str(path)!r}; give the folder of a run, as 'gpunn train' printed it")
        if not run.configuration.is_file():
            raise UsageError(
                f"{str(path)!r} is not the folder of a run: it has no {run.configuration.name}; "
                f"give the folder that 'gpunn train' printed"
            )
        return run

    @property
    def configuration(self) -> Path:
        """config.toml: everything that reproduces the run."""
        return self.path / "config.toml"

    @property
    def metrics_lines(self) -> Path:
        """metrics.jsonl: one line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def metrics_table(self) -> Path:
        """metrics.csv: the same as a table."""
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        """curves.png: the learning curves."""
        return self.path / "curves.png"

    @property
    def quarantine(self) -> Path:
        """quarantine.jsonl: images that could not be read, if the run was told to write them down."""
        return self.path / "quarantine.jsonl"

    @property
    def heartbeat(self) -> Path:
        """heartbeat: there while the run is trained, touched at every step."""
        return self.path / heartbeat.NAME

    @property
    def checkpoints(self) -> Path:
        """The folder of last, previous and best."""
        return self.path / "checkpoints"

    def discard(self) -> None:
        """Take a folder away again that was made for a run that cannot begin; what others have put there stays."""
        with suppress(OSError):
            for file in (self.configuration, self.metrics_lines, self.metrics_table):
                file.unlink(missing_ok=True)
            for file in self.checkpoints.glob("*.safetensors"):
                file.unlink()
            if self.checkpoints.is_dir():
                self.checkpoints.rmdir()
            self.path.rmdir()

    def write_configuration(self, configuration: Mapping[str, Any]) -> None:
        """Write config.toml; keys whose value is None are left out.

        Raises:
            UsageError: when a value has no form in TOML.
            CheckpointError: when the disk refuses.
        """
        try:
            text = to_toml(configuration)
        except (TypeError, ValueError) as error:
            raise UsageError(f"the configuration cannot be written as TOML: {error}; give a plain value") from error
        try:
            replace_file(self.configuration, [text.encode()])
        except OSError as error:
            raise write_failure(self.configuration, error) from error

    def read_configuration(self) -> dict[str, Any]:
        """What `write_configuration` wrote.

        Raises:
            UsageError: when the file is missing or is not TOML.
        """
        return read_toml(self.configuration)


def require_unused(out: Path) -> None:
    """See that a run can begin in a folder, without making it.

    Raises:
        UsageError: when the folder holds something, or is a file.
    """
    try:
        if out.is_file():
            raise UsageError(f"{str(out)!r} is a file; give --out a new folder")
        if any(out.iterdir()):
            raise UsageError(
                f"the folder {str(out)!r} is not empty; give --out a new folder, "
                f"or go on with the run in it by --resume {out}"
            )
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            f"cannot read the folder {str(out)!r}: {error.strerror}; give another one with --out"
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a configuration file.

    Raises:
        UsageError: when the file is missing, unreadable or not TOML; the text names the place.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}; check the path") from error
    except ValueError as error:
        raise UsageError(f"{str(path)!r} is not TOML: {error}; mend that place") from error


def _fresh_folder(name: str, now: datetime) -> Path:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
    _PARENT.mkdir(exist_ok=True)
    for attempt in count(1):
        folder = _PARENT / f"{readable}-{now:%Y%m%d-%H%M%S}{f'-{attempt}' if attempt > 1 else ''}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable: the numbers never end")
