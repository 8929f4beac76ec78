"""Findings as text and as JSON."""

from __future__ import annotations

import io

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.report import as_json, as_text, wants_colour

FINDINGS = [
    Finding("Python", "ok", "3.11.9"),
    Finding("cores", "warning", "one of sixty-four", "docker run --cpus 64 gpunn"),
    Finding("CuPy", "problem", "two\n at once", "pip uninstall -y a b"),
]


def test_lines_are_aligned_and_commands_stand_below() -> None:
    assert as_text(FINDINGS).splitlines() == [
        "ok       Python  3.11.9",
        "warning  cores   one of sixty-four",
        "                 $ docker run --cpus 64 gpunn",
        "problem  CuPy    two at once",
        "                 $ pip uninstall -y a b",
        "",
        "1 problem, 1 warning",
    ]


def test_the_last_line_counts() -> None:
    assert as_text(FINDINGS[:1]).splitlines()[-1] == "all is well"
    assert as_text(FINDINGS[:2]).splitlines()[-1] == "no problems, 1 warning"
    assert as_text(FINDINGS[2:] * 2).splitlines()[-1] == "2 problems, no warnings"


def test_text_is_broken_to_the_terminal_and_commands_are_not() -> None:
    long = Finding("cache", "warning", "a few words " * 20, "rm " + "x" * 90)
    lines = as_text([long], width=60).splitlines()
    command = lines.index(" " * 16 + "$ rm " + "x" * 90)
    assert all(len(line) <= 60 for line in lines[:command])
    assert all(line.startswith(" " * 16) for line in lines[1:command])
    assert " ".join(" ".join(lines[:command]).split()) == "warning cache " + "a few words " * 19 + "a few words"


def test_names_of_packages_stay_whole() -> None:
    for width in range(40, 60):
        text = as_text([Finding("CuPy", "ok", "a word or two of cupy-cuda13x and of nvidia-cuda-nvrtc")], width=width)
        assert {"cupy-cuda13x", "nvidia-cuda-nvrtc"} <= set(text.split())


def test_colours_are_around_the_status_only() -> None:
    plain, coloured = as_text(FINDINGS), as_text(FINDINGS, colour=True)
    assert "\x1b[31mproblem\x1b[0m  CuPy" in coloured
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"):
        assert code in coloured
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_who_wants_colours() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert wants_colour(Terminal(), {})
    assert wants_colour(Terminal(), {"NO_COLOR": ""})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not wants_colour(Terminal(), {"TERM": "dumb"})
    assert not wants_colour(io.StringIO(), {})


def test_json_has_every_field_and_the_counts() -> None:
    assert as_json(FINDINGS[1:]) == {
        "findings": [
            {
                "subject": "cores",
                "status": "warning",
                "text": "one of sixty-four",
                "remedy": "docker run --cpus 64 gpunn",
            },
            {"subject": "CuPy", "status": "problem", "text": "two\n at once", "remedy": "pip uninstall -y a b"},
        ],
        "problems": 1,
        "warnings": 1,
    }
