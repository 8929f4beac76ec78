"""How Sphinx builds the site: `sphinx-build -W --keep-going -n docs build/site`, with what ".[docs]" installs."""

from __future__ import annotations

import gpunn

project = "gpunn"
author = "the gpunn authors"
release = version = gpunn.__version__

extensions = ["myst_parser", "sphinx.ext.mathjax"]
exclude_patterns = ["pictures"]
nitpicky = True

# Formulas between dollars, `(name)=` anchors, captions under pictures, and lists of terms.
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist"]
# Every heading of the first three levels can be linked to as `page.md#its-words`.
myst_heading_anchors = 3

html_theme = "furo"
html_title = "gpunn"
html_show_copyright = False
html_show_sphinx = False
