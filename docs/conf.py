"""How Sphinx makes pages of the course; docs/make_site.py calls it on the folder that it prepared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError

ROOT = Path(os.environ["DDPM_LITE_ROOT"])  # make_site.py sets it
sys.path[:0] = [str(ROOT), str(ROOT / "notebooks")]

import rules  # noqa: E402

project = "ddpm_lite"
author = copyright = "The ddpm_lite authors"
version = release = rules.PROJECT["project"]["version"]
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.githubpages"]

nb_execution_mode = "off"  # make_site.py has executed them
nb_output_stderr = "show"
nb_render_text_lexer = "none"
nb_mime_priority_overrides = [("html", "text/html", 0)]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_maximum_signature_line_length = 60
add_module_names = False

html_theme = "furo"
html_title = "ddpm_lite"
html_static_path = ["_static"]
html_extra_path = ["extra"]
html_css_files = ["katex/katex.min.css", "scrubber.css", "site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
html_use_index = html_domain_indices = html_copy_source = html_show_sourcelink = html_show_sphinx = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#005A8E", "color-brand-content": "#005A8E"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}


class Formulas:
    """KaTeX in a node process that lives as long as the build."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def html(self, tex: str, display: bool, where: str) -> str:
        """A formula as HTML, with MathML for screen readers; raises ExtensionError for what KaTeX cannot read."""
        if self.process is None:
            self.process = subprocess.Popen(
                ["node", "formulas.js"], cwd=ROOT / "docs", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                encoding="utf-8",
            )  # fmt: skip
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"tex": tex, "display": display}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ExtensionError("node ended: `npm ci --prefix docs` fetches what it needs")
        answer = json.loads(line)
        if "error" in answer:
            raise ExtensionError(f"{where}: {answer['error']}: {tex}")
        return str(answer["html"])

    def close(self, *_: Any) -> None:
        if self.process is not None and self.process.stdin and self.process.stdout:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None


FORMULAS = Formulas()


def visit_math(visitor: Any, node: Any) -> None:
    """Write an inline formula."""
    from docutils import nodes

    visitor.body.append(FORMULAS.html(node.astext(), False, str(visitor.builder.current_docname)))
    raise nodes.SkipNode


def visit_math_block(visitor: Any, node: Any) -> None:
    """Write a displayed formula, in a box that scrolls where the page is narrow."""
    from docutils import nodes

    formula = FORMULAS.html(node.astext(), True, str(visitor.builder.current_docname))
    visitor.body.append(f'<div class="formula">{formula}</div>\n')
    raise nodes.SkipNode


def docstring_to_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn our docstrings, which are plain text with ``code``, into reStructuredText.

    A paragraph's lines are joined; a line that begins with `name:` begins a paragraph of its own; all but code is
    literal, so that `x_t`, `|a|` and `*` stay what they are.
    """
    paragraphs: list[str] = []
    for block in "\n".join(lines).strip().split("\n\n"):
        text = ""
        for line in block.splitlines():
            if text and re.match(r"(?:[A-Za-z_][\w.]*(?:, [A-Za-z_][\w.]*)*|Raises|Returns|Source|Call|Warns): ", line):
                paragraphs.append(text)
                text = ""
            text = f"{text} {line.strip()}".strip()
        paragraphs.append(text)

    def escape(text: str) -> str:
        parts = re.split(r"``(.+?)``|(?<!`)`([^`]+)`", text)
        out = []
        for i in range(0, len(parts), 3):
            out.append(re.sub(r"([\\*_|`<>\[\]])", r"\\\1", parts[i]))
            if i + 2 < len(parts):
                out.append(f"\\ ``{(parts[i + 1] or parts[i + 2]).strip()}``\\ ")
        return "".join(out)

    lines[:] = [line for paragraph in paragraphs for line in (escape(paragraph), "")]


def for_screen_readers(app: Any, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend two things in Sphinx's HTML: the sidebar's headings have no level, long signatures are lists of no terms."""
    lines = re.compile(r'<dl>(\s*(?:<dd><em class="sig-param">.*?</dd>\s*)+)</dl>')

    def divs(found: re.Match[str]) -> str:
        return '<div class="sig-lines">' + re.sub("<(/?)dd>", r"<\1div>", found[1]) + "</div>"

    for name in ("furo_navigation_tree", "body"):
        if isinstance(text := context.get(name), str):
            context[name] = lines.sub(divs, text.replace('role="heading">', 'role="heading" aria-level="2">'))


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.add_html_math_renderer("katex", inline_renderers=(visit_math, None), block_renderers=(visit_math_block, None))
    app.connect("autodoc-process-docstring", docstring_to_rst)
    app.connect("html-page-context", for_screen_readers, priority=900)  # after the theme's own
    app.connect("build-finished", FORMULAS.close)


html_math_renderer = "katex"
