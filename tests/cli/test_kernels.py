"""gpunn kernels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpunn.backend.cuda.inspection.kernel_budget import parse_budget
from gpunn.backend.cuda.launching.source import packaged_source
from tests.cli.conftest import Gpunn


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))


def test_kernels_as_json(gpunn: Gpunn) -> None:
    result = gpunn("kernels", "--kernel", "adam.cu", "--architecture", "80", "--json")
    assert (result.status, result.error) == (0, "")
    found = json.loads(result.out)
    assert [one["kernel"] for one in found] == ["adam<float>", "adam<bfloat16>", "adam<float16>"]
    for one in found:
        assert list(one) == [
            "kernel",
            "file",
            "architecture",
            "registers",
            "spill_bytes",
            "shared_bytes",
            "occupancy",
            "tensor_core_instructions",
            "wide_loads",
        ]
        assert (one["file"], one["architecture"], one["spill_bytes"]) == ("adam.cu", "80", 0)
        # Weights, gradients and both moments, 16 bytes a thread each.
        assert one["wide_loads"] >= 4
        assert one["tensor_core_instructions"] == 0
        assert 0 < one["occupancy"] <= 1


def test_kernels_as_a_table(gpunn: Gpunn) -> None:
    result = gpunn("kernels", "--kernel", "advance", "--architecture", "90a", "--architecture", "75")
    header, _, first, second, end = result.out.splitlines()
    assert " ".join(header.split()) == "kernel file sm registers spilled shared occupancy products wide loads"
    assert [line.split()[:3] for line in (first, second)] == [["advance", "advance.cu", sm] for sm in ("75", "90a")]
    assert end == "2 compilations of kernels, 0 of them spill registers"


def test_a_budget_is_written(gpunn: Gpunn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpunn.backend.cuda.launching.source.packaged_sources", lambda: [packaged_source("advance.cu")])
    monkeypatch.setattr("gpunn.backend.cuda.launching.source.ARCHITECTURES", ("80", "90a"))
    assert gpunn("kernels", "--write-budget", tmp_path / "budget.json").status == 0
    assert set(parse_budget((tmp_path / "budget.json").read_text())) == {
        ("advance.cu advance", "80"),
        ("advance.cu advance", "90a"),
    }
    result = gpunn("kernels", "--write-budget", tmp_path / "none" / "budget.json")
    assert (result.status, "cannot be written" in result.error) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kernel", "nothing-like-it"), "'nothing-like-it' is part of no kernel's name"),
        (("--architecture", "91"), "'91' is not one of 75, 80, 86"),
        (("--write-budget", "x", "--kernel", "adam"), "--write-budget is for all kernels"),
    ],
)
def test_wrong_use(gpunn: Gpunn, options: tuple[str, ...], words: str) -> None:
    result = gpunn("kernels", *options)
    assert result.status == 2
    assert words in result.error
