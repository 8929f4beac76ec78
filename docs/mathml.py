"""Formulas as MathML, which browsers draw by themselves: the site needs neither JavaScript nor a network for them."""

from __future__ import annotations

from html import unescape
from typing import Any
from xml.etree.ElementTree import Element, tostring

from docutils import nodes
from latex2mathml.converter import convert_to_element
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

#: What TeX puts between the name of a function and its argument, in em.
THIN_SPACE = "0.167em"
BARS = {"|", "‖"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the renderer to `html_math_renderer`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathml(formula: str, *, display: bool) -> str:
    """A `<math>` element of a formula in TeX, which it keeps as its `alttext`."""
    math = convert_to_element(formula, display="block" if display else "inline")
    math.set("alttext", " ".join(formula.split()))
    for element in math.iter():
        # The converter writes characters as references, which would be escaped once more.
        element.text = unescape(element.text or "")
    for element in list(math.iter()):
        _space(element)
    return tostring(math, encoding="unicode")


def _space(parent: Element) -> None:
    """Set names of functions apart from their arguments, and bars close to what they enclose, as TeX does."""
    for place, child in reversed(list(enumerate(parent))):
        text = child.text or ""
        if child.tag == "mo" and text in BARS:
            child.attrib.update(lspace="0", rspace="0")
        names_a_function = child.tag == "mi" and len(text) > 1 and text.isalpha()
        after = parent[place + 1 : place + 2]
        if names_a_function and parent.tag == "mrow" and after and after[0].text != "(":
            parent.insert(place + 1, Element("mspace", width=THIN_SPACE))


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext(), display=False))
    raise nodes.SkipNode


def _displayed(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="formula"))
    translator.body.append(mathml(node.astext(), display=True) + "</div>\n")
    raise nodes.SkipNode
