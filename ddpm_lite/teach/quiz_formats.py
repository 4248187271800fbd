"""A quiz as HTML that needs nothing else, and as Moodle's XML."""

from __future__ import annotations

import functools
import html
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import Any

from .quiz import Question

SIZE = 100  # of the letters in the units of a drawing
STYLE = """
body { max-width: 46em; margin: 2em auto; padding: 0 1em; font: 17px/1.5 Georgia, serif; color: #111; background: #fff }
h1 { font-size: 1.5em } h2 { font-size: 1.1em; margin-top: 1.6em } h2, h2 + p { break-after: avoid }
li { margin: 0.35em 0 } ul { list-style: none; padding-left: 1.5em } code { font-size: 0.9em }
@media print { body { margin: 0; font-size: 11pt } li, p { break-inside: avoid } }
"""


def to_html(markdown: str, formula: Callable[[str, bool], str] | None = None) -> str:
    """Markdown as HTML; `formula(tex, display)` makes that of formulas, drawings if it is not given."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def render(tex: str, settings: dict[str, Any]) -> str:
        return (formula or drawing)(tex, bool(settings["display_mode"]))

    return str(MarkdownIt().use(dollarmath_plugin, renderer=render, double_inline=True).render(markdown))


@functools.lru_cache(4096)
def drawing(tex: str, display: bool) -> str:
    """A formula as SVG, drawn by matplotlib: it looks alike everywhere, and needs no font, script or network.

    Raises ValueError for what matplotlib cannot read.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    text, font = f"${tex}$", FontProperties(size=SIZE, math_fontfamily="stix")
    width, height, depth, *_ = MathTextParser("path").parse(text, 72, font)
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
    steps = []
    for points, code in TextPath((0, 0), text, prop=font).iter_segments(simplify=False, curves=True):
        pairs = zip(points[::2], -points[1::2], strict=True)
        steps.append(letters[code] + ("" if code == Path.CLOSEPOLY else " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)))
    box = f"0 {-height - 1:.1f} {width + 1:.1f} {height + depth + 2:.1f}"
    size = f"height:{(height + depth + 2) / SIZE:.2f}em;vertical-align:{-(depth + 1) / SIZE:.2f}em"
    label = html.escape(tex, quote=True)
    image = f'<svg role="img" aria-label="{label}" viewBox="{box}" style="{size}"><path d="{"".join(steps)}"/></svg>'
    return f'<div style="text-align:center">{image}</div>' if display else image


def in_moodle(tex: str, display: bool) -> str:
    """A formula between the marks that Moodle's filter for TeX looks for."""
    left, right = (r"\[", r"\]") if display else (r"\(", r"\)")
    return html.escape(f"{left}{tex}{right}", quote=False)


def page(markdown: str) -> str:
    """A Markdown sheet as one HTML file that needs nothing else."""
    title = html.escape(markdown.splitlines()[0].removeprefix("# "))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    head = f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>'
    return f"{head}\n<body>\n{to_html(markdown)}</body></html>\n"


def moodle(questions: Sequence[Question]) -> str:
    """The questions as Moodle XML, in one category a lesson; Moodle shuffles the options itself."""
    quiz, category = ET.Element("quiz"), None

    def add(parent: ET.Element, tag: str, markdown: str, **attributes: str) -> ET.Element:
        node = ET.SubElement(parent, tag, {**attributes, "format": "html"})
        ET.SubElement(node, "text").text = to_html(markdown, in_moodle).strip()
        return node

    def answer(parent: ET.Element, text: str, fraction: int, feedback: str, tolerance: float | None = None) -> None:
        if tolerance is None:
            node = add(parent, "answer", text, fraction=str(fraction))
        else:
            node = ET.SubElement(parent, "answer", {"fraction": str(fraction), "format": "plain_text"})
            ET.SubElement(node, "text").text = text
            ET.SubElement(node, "tolerance").text = f"{tolerance:g}"
        add(node, "feedback", feedback)

    for one in questions:
        if one.lesson != category:
            category = one.lesson
            node = ET.SubElement(ET.SubElement(quiz, "question", type="category"), "category")
            ET.SubElement(node, "text").text = f"$course$/top/ddpm_lite/lesson {category}"
        kind = {"choice": "multichoice", "number": "numerical", "short": "essay"}[one.kind]
        node = ET.SubElement(quiz, "question", type=kind)
        ET.SubElement(ET.SubElement(node, "name"), "text").text = one.id
        add(node, "questiontext", one.question)
        add(node, "generalfeedback", one.why)
        ET.SubElement(node, "defaultgrade").text = str(one.points)
        if one.kind == "short":
            ET.SubElement(node, "responseformat").text = "editor"
            add(node, "graderinfo", "\n".join([one.answer, "", *(f"- {mark}" for mark in one.marks)]))
            continue
        if one.kind == "choice":
            for tag, text in (("single", "true"), ("shuffleanswers", "true"), ("answernumbering", "abc")):
                ET.SubElement(node, tag).text = text
            answer(node, one.right, 100, "")
        else:
            answer(node, f"{one.answer:.10g}", 100, "", one.tolerance)
        for text, why in one.wrong:
            number = one.kind == "number"
            answer(node, f"{text:.10g}" if number else text, 0, why, abs(text) * 0.01 if number else None)
    ET.indent(quiz)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(quiz, encoding="unicode") + "\n"
