"""The site: it builds without a warning, its links lead somewhere, and its pictures are made by scripts."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
import typer.main
from PIL import Image

from gpunn.cli.application import application
from tests.commands import ROOT

DOCS = ROOT / "docs"
PICTURES = DOCS / "pictures"
PAGES = sorted(DOCS.glob("*.md"))
SCRIPTS = sorted(PICTURES.glob("*.py"))
#: Warnings are errors, all of them are told, and every reference has to lead somewhere.
SPHINX = (sys.executable, "-P", "-m", "sphinx", "-W", "--keep-going", "-n", "-q")


@dataclass
class Page(HTMLParser):
    """What a page of HTML has of anchors, and what it refers to."""

    text: str
    anchors: set[str] = field(default_factory=set)
    headings: list[str] = field(default_factory=list)
    targets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self._in_heading = False
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if named.get("id"):
            self.anchors.add(str(named["id"]))
        self.targets.update(str(named[name]) for name in ("href", "src") if named.get(name))
        if re.fullmatch("h[1-6]", tag):
            self._in_heading = True
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings[-1] += data


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The pages of the site by their files."""
    if importlib.util.find_spec("sphinx") is None or importlib.util.find_spec("myst_parser") is None:
        pytest.skip('the site is built where pip install ".[docs]" was run')
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [*SPHINX, "-d", str(folder / "kept"), str(DOCS), str(folder / "html")],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {path: Page(path.read_text()) for path in sorted((folder / "html").rglob("*.html"))}


def test_every_page_is_in_the_site(site: dict[Path, Page]) -> None:
    assert {path.stem for path in PAGES} <= {path.stem for path in site}


def test_every_internal_link_leads_to_a_page_and_an_anchor(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert there.exists(), f"{path.name}: {target}"
            if parts.fragment and there in site:
                assert unquote(parts.fragment) in site[there].anchors, f"{path.name}: {target}"


def test_pages_need_no_network_to_be_read(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        assert not re.search(r'<(?:script|link|img)\b[^>]*(?:src|href)="(?:https?:)?//', page.text), path.name


def test_formulas_are_drawn_by_the_browser(site: dict[Path, Page]) -> None:
    (page,) = (page for path, page in site.items() if path.name == "formulas.html")
    formulas = [ElementTree.fromstring(text) for text in re.findall("<math.*?</math>", page.text, flags=re.S)]
    assert len(formulas) > 100
    symbols = [symbol for formula in formulas for symbol in formula.itertext()]
    assert {"λ", "∑", "⌊", "←"} <= set(symbols)
    # What the converter does not know it leaves as it stands.
    assert not [symbol for symbol in symbols if re.search(r"\\|&", symbol)]


def test_every_command_has_a_section_with_all_its_options(site: dict[Path, Page]) -> None:
    (page,) = (page for path, page in site.items() if path.name == "commands.html")
    headings = {heading.removesuffix("¶").strip() for heading in page.headings}
    pending = [("gpunn", typer.main.get_command(application()))]
    seen = 0
    while pending:
        name, command = pending.pop()
        inner = getattr(command, "commands", {})
        pending += [(f"{name} {part}", subcommand) for part, subcommand in inner.items()]
        if not inner:
            seen += 1
            assert name in headings
            section = page.text.split(f'<section id="{name.replace(" ", "-")}">')[1].split("</section>")[0]
            for parameter in command.params:
                spelling = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
                assert re.search(rf"<dt>.*\b{re.escape(spelling.strip('-.'))}\b.*</dt>", section), (name, spelling)
    assert seen >= 12


def pictures_of(page: Path) -> set[str]:
    return set(re.findall(r"pictures/([\w.-]+\.(?:png|svg))", page.read_text()))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pictures that the scripts make, those that would take minutes of less data, by name."""
    folder = tmp_path_factory.mktemp("pictures")
    for script in SCRIPTS:
        command = [sys.executable, "-P", str(script), str(folder), "quick"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    chart = [sys.executable, "-m", "benchmarks.cpu_training_chart", "--picture", str(folder / "cpu-training.png")]
    subprocess.run(chart, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return {path.name: path for path in folder.iterdir()}


def test_the_scripts_make_the_pictures_that_are_kept(drawn: dict[str, Path]) -> None:
    kept = {path.name for path in PICTURES.iterdir() if path.suffix in (".png", ".svg")}
    assert drawn.keys() == kept
    for path in drawn.values():
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert max(np.ptp(np.asarray(picture.convert("RGB")), axis=(0, 1))) > 100, path.name


def test_every_picture_of_a_page_is_kept_and_every_kept_picture_is_shown() -> None:
    shown = set().union(*map(pictures_of, [*PAGES, ROOT / "README.md"]))
    assert shown == {path.name for path in PICTURES.iterdir() if path.suffix in (".png", ".svg")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_a_page_names_are_in_the_repository(page: Path) -> None:
    rooms = "gpunn|kernels|tests|benchmarks|examples|docs"
    for name in re.findall(rf"`((?:{rooms})/[\w./-]+\.\w+)(?:::\w+)?`", page.read_text()):
        assert (ROOT / name).exists(), name
