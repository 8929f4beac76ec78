"""The page on writing a kernel: the reports that it shows are those that the check build gives."""

from __future__ import annotations

from pathlib import Path

from tests.commands import blocks_of

PAGE = (Path(__file__).parents[2] / "docs/new-kernel.md").read_text()


def test_every_report_is_shown_as_it_is() -> None:
    known: dict[str, object] = {"__name__": "page"}
    shown = 0
    for block in blocks_of(PAGE):
        if block.language == "python":
            exec(compile(block.text, f"new-kernel.md:{block.line}", "exec"), known)
        elif block.language == "text":
            assert block.text.strip() == str(known["report"]).strip()
            shown += 1
            if shown == PAGE.count("```text"):
                return
    raise AssertionError("the page shows no report")
