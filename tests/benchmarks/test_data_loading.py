"""The benchmark of data loading, on a few small pictures and with something in PyTorch's place."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import data_loading


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def pytorch_loader(files: Sequence[Path], *options: int) -> list[bytes]:
        return [file.read_bytes() for file in files]

    monkeypatch.setitem(sys.modules, "benchmarks.pytorch_loader", SimpleNamespace(pytorch_loader=pytorch_loader))
    monkeypatch.setattr(data_loading, "version", lambda name: f"of {name}")
    monkeypatch.setattr(data_loading, "SOURCE_SIZE", (60, 80))
    monkeypatch.setattr(data_loading, "BATCH", 8)


def test_every_side_reads_all_pictures(
    small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["data_loading", "--images", "20", "--workers", "1", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    data_loading.main()
    result = json.loads(capsys.readouterr().out)
    assert (result["images"], result["workers"]) == (18, 1)
    assert all(rate > 0 for rate in result["rates"].values())
    for one, other, _ in data_loading.RATIOS:
        median, low, high = result["ratios"][f"{one} / {other}"]
        # One round: the ratio of its rates is all there is.
        assert median == low == high == pytest.approx(result["rates"][one] / result["rates"][other])


def test_a_person_reads_a_table(
    small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["data_loading", "--images", "12", "--workers", "1", "--repeats", "1"])
    data_loading.main()
    told = capsys.readouterr().out
    assert "9 pictures of" in told
    assert "wanted 1.15)  pillow / pytorch uint8" in told
    assert "(wanted 15,000)  packed" in told
