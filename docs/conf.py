"""How Sphinx builds the site: `sphinx-build -W --keep-going -n docs build/site`, with what ".[docs]" installs."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

import gpunn

HERE = Path(__file__).parent
sys.path.append(str(HERE))

project = "gpunn"
author = "the gpunn authors"
release = version = gpunn.__version__

extensions = ["myst_parser", "mathml"]
html_math_renderer = "mathml"
exclude_patterns = ["pictures"]
nitpicky = True
# Two dashes are the beginning of an option.
smartquotes = False

# Formulas between dollars, sizes of pictures, notes, and lists of terms.
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "colon_fence", "deflist"]
# Every heading of the first three levels can be linked to as `page.md#its-words`.
myst_heading_anchors = 3

html_theme = "furo"
html_title = "gpunn"
html_static_path = ["static"]
html_css_files = ["marks.css"]
html_show_copyright = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Fill commands.md from the code."""
    app.connect("source-read", _add_command_reference)


def _add_command_reference(_: Sphinx, page: str, source: list[str]) -> None:
    if page == "commands":
        from command_reference import command_reference

        source[0] += "\n" + command_reference()
