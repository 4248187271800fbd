"""Build the website: execute the lessons, keep what each gave, make pages of it for any web server, or for none.

    python docs/make_site.py [LESSON ...] [--fast] [--out site] [--work .site]

A LESSON is named as in notebooks/build.py; all of them when none is. Lessons are executed in full mode; their results
are kept in `--work`, under a hash of the lesson's source and of the package, so that only what changed runs again.
`--fast` (or SITE_FAST=1) executes them in fast mode, and the pages say so. Needs the extra `site`, Node.js and npm.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import importlib
import importlib.metadata
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT / "notebooks")]

import build  # noqa: E402
import rules  # noqa: E402

KATEX = DOCS / "node_modules" / "katex"
FAST_BOX = """```{admonition} Fast mode
:class: fast
The lessons ran in fast mode here, with fewer steps and samples than they say.
```"""
CHECKS = ["verify"]  # of ddpm_lite.checks; the others check one exercise each


# --- execute ---------------------------------------------------------------------------------------------


def package_hash() -> str:
    """A hash of all that a lesson's outputs depend on beside its own source."""
    digest = hashlib.sha256()
    files = sorted(p for p in (ROOT / "ddpm_lite").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    for path in [*files, DOCS / "site_kernel.py"]:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    versions = [importlib.metadata.version(name) for name in ("torch", "numpy", "matplotlib")]
    digest.update(" ".join([platform.python_version(), *versions]).encode())
    return digest.hexdigest()


def executed(path: Path, work: Path, fast: bool, package: str) -> Path:
    """The folder with a page's executed notebook and the data of its sliders, made where it is not there yet."""
    import nbformat
    from nbclient import NotebookClient

    key = hashlib.sha256(f"{package}\0{fast}\0".encode() + path.read_bytes()).hexdigest()[:16]
    folder = work / "executed" / f"{path.stem}{'-fast' if fast else ''}-{key}"
    if (folder / "lesson.ipynb").exists():
        return folder
    print(f"{path.stem}: running ...", flush=True)
    scratch = work / "scratch" / path.stem
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "sliders").mkdir(parents=True)
    notebook = build.read_source(path)
    notebook.metadata = nbformat.from_dict(build.KERNEL)
    before = f"import sys; sys.path.append({str(DOCS)!r}); import site_kernel; site_kernel.install()"
    after = f"site_kernel.dump({str(scratch / 'sliders')!r})"
    notebook.cells = [nbformat.v4.new_code_cell(before), *notebook.cells, nbformat.v4.new_code_cell(after)]
    environment = {k: v for k, v in os.environ.items() if k not in ("DDPM_LITE_FAST", "DDPM_LITE_CANVAS")}
    environment["PYTHONPATH"] = str(ROOT)
    if fast:
        environment["DDPM_LITE_FAST"] = "1"
    options: dict[str, Any] = {"timeout": 1800, "record_timing": False, "store_widget_state": False}
    resources = {"metadata": {"path": str(scratch)}}  # what a lesson writes stays out of the way
    start = time.perf_counter()
    NotebookClient(notebook, kernel_name="python3", resources=resources, **options).execute(env=environment)
    notebook.cells = notebook.cells[1:-1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = build.tidy(cell.outputs)
    for old in folder.parent.glob(f"{path.stem}{'-fast' if fast else ''}-{'[0-9a-f]' * 16}"):
        shutil.rmtree(old)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(scratch / "sliders", folder)
    shutil.rmtree(scratch)
    nbformat.write(notebook, folder / "lesson.ipynb")  # last: with it the folder is complete
    print(f"{path.stem}: {time.perf_counter() - start:.0f} s", flush=True)
    return folder


# --- prepare pages -----------------------------------------------------------------------------------------


def stamp_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


def picture(data: bytes, alt: str, name: str, source: Path) -> str:
    """Store a picture of an output and return its HTML: with alternative text and size, and larger on a tap."""
    from PIL import Image

    target = source / "_static" / "lessons" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    width, height = Image.open(io.BytesIO(data)).size
    address, alt = f"ROOT/_static/lessons/{name}?v={stamp_of(data)}", html.escape(" ".join(alt.split()), quote=True)
    image = f'<img src="{address}" alt="{alt}" width="{width}" height="{height}" decoding="async">'
    return f'<a class="figure" href="{address}">{image}</a>'


def slider(place: str, name: str, folder: Path, source: Path, colab: str) -> str:
    """Store the data of a slider and return its HTML."""
    number = re.findall(r'data-slider="(\d+)"', place)[0]
    data = json.loads((folder / f"{number}.json").read_text(encoding="utf-8"))
    if "linked" in data:
        data["linked"] = [f"{name}-{other}" for other in data["linked"]]
    text = json.dumps([f"{name}-{number}", data], separators=(",", ":"))
    text = f"(window.ddpmSliders ??= []).push({text});\n"
    (source / "_static" / "lessons").mkdir(parents=True, exist_ok=True)
    (source / "_static" / "lessons" / f"{name}-{number}.js").write_text(text, encoding="utf-8")
    attributes = f'id="{name}-{number}" role="group" aria-label="Slider {number} of this page"'
    attributes += f' data-colab="{colab}"' if colab else ""
    script = f'<script async src="ROOT/_static/lessons/{name}-{number}.js?v={stamp_of(text.encode())}"></script>'
    place = re.sub(": run this notebook[^<]*", " needs JavaScript.", place)
    return place.replace("<div ", f"<div {attributes} ", 1) + script


def stage_notebook(path: Path, folder: Path, source: Path, where: str, fast: bool, known: set[str]) -> None:
    """Write one executed notebook for Sphinx: outputs as HTML of our own, links that lead somewhere."""
    import nbformat

    notebook, name = nbformat.read(folder / "lesson.ipynb", as_version=4), path.stem
    root, colab = "/".join([".."] * where.count("/")) or ".", ""
    first = notebook.cells[0]
    if found := rules.HEADER.fullmatch(first.source.strip()):
        colab = found["link"]
        doors = f'<p class="doors"><a href="{colab}">Open in Colab</a>'
        doors += f'<a href="{root}/notebooks/{name}.ipynb" download>Download the notebook</a></p>'
        first.source = re.sub(r"(?m)^\[!\[Open in Colab\].*$", doors, first.source, count=1)
        setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
        setup.metadata["tags"] = [*setup.metadata.get("tags", []), "hide-input"]
    if fast:
        head, _, rest = first.source.partition("\n")
        first.source = f"{head}\n\n{FAST_BOX}\n{rest}"

    def link(found: re.Match[str]) -> str:
        """To another page, to an exercise set's file, or to nowhere: a lesson that this site has not."""
        if found[2].startswith("exercises/"):
            return f'<a href="{root}/notebooks/{found[2]}.ipynb" download>{found[1]}</a>'
        return found[0] if found[2] in known else found[1]

    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\[([^\]]*)\]\(((?:exercises/)?\d\d_\w+)\.ipynb\)", link, cell.source)
            continue
        for k, output in enumerate(cell.get("outputs", [])):
            data = output.get("data", {})
            if "image/png" in data:
                alt = output.get("metadata", {}).get("image/png", {}).get("alt") or data.get("text/plain", "")
                png = base64.b64decode(data["image/png"])
                output["data"] = {"text/html": picture(png, alt, f"{name}-{i}-{k}.png", source).replace("ROOT", root)}
                output["metadata"] = {}
            elif "data-slider=" in data.get("text/html", ""):
                page = slider(data["text/html"], name, folder, source, colab)
                output["data"] = {"text/html": page.replace("ROOT", root)}
    target = source / f"{where}{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def lesson_cards(paths: list[Path], source: Path) -> str:
    """The list of lessons for the front page, from their headers and their pictures."""
    cards = []
    for path in paths:
        header = rules.read_header(build.read_source(path).cells[0].source)
        cover = build.COVERS / f"{path.stem}.png"
        image = ""
        if cover.exists():
            shutil.copy(cover, source / "_static" / cover.name)
            image = f'<img src="_static/{cover.name}" alt="" loading="lazy">'
        title = f'<a href="lessons/{path.stem}.html">{path.stem[:2]} {html.escape(header.title)}</a>'
        text = f"<strong>{title}</strong><span>{html.escape(header.do)}</span><small>{header.minutes} minutes</small>"
        cards.append(f"<li>{image}<div>{text}</div></li>")
    return '<ul class="cards">' + "".join(cards) + "</ul>"


def to_repository(markdown: str, folder: str) -> str:
    """Markdown of a file in the repository whose links to other files lead there."""
    base = f"{rules.ADDRESS}/blob/{rules.TAG}/{folder}"
    return re.sub(r"(?<!!)\]\((?!https?:|#|mailto:)([^)\s]+\.(?:py|md|ipynb))\)", rf"]({base}\1)", markdown)


def reference(source: Path) -> list[str]:
    """Write one page of reference for each module, from the public names of the package; returns the pages."""
    sys.path.insert(0, str(ROOT))
    import ddpm_lite
    from ddpm_lite import data, evaluation, plots

    names = {module: list(home) for module, home in ddpm_lite._HOME.items()}
    names["widgets"] = ["scrub", "explore", "Scrub", "Explore"]
    names["checks"] = CHECKS
    for module, members in ((data, data.__all__), (evaluation, evaluation.__all__), (plots, plots.__all__)):
        key = module.__name__.split(".")[1]
        names[key] = names.get(key, []) + [name for name in members if name not in names.get(key, [])]
    (source / "reference").mkdir()
    for module, members in names.items():
        head = [f".. automodule:: ddpm_lite.{module}", "   :no-members:"]
        lines = [f"# `ddpm_lite.{module}`", "", "```{eval-rst}", *head, ""]
        for name in members:
            thing = getattr(importlib.import_module(f"ddpm_lite.{module}"), name)
            kind = "autoclass" if isinstance(thing, type) else "autofunction" if callable(thing) else "autodata"
            if kind == "autodata":
                continue
            lines += [f".. {kind}:: ddpm_lite.{module}.{name}", *["   :members:"] * (kind == "autoclass"), ""]
        (source / "reference" / f"{module}.md").write_text("\n".join([*lines, "```", ""]), encoding="utf-8")
    return [f"reference/{module}" for module in names]


def scripts_and_styles(source: Path) -> None:
    """Put what sliders and formulas need into `source`/_static."""
    (source / "_static").mkdir(parents=True, exist_ok=True)
    assets = ROOT / "ddpm_lite" / "assets"
    module, end = (assets / "scrubber.js").read_text(encoding="utf-8"), "export default { render };"
    if module.count(end) != 1 or "import " in module:
        raise SystemExit("ddpm_lite/assets/scrubber.js: wanted one `export default { render };` and no import")
    host, mark = (DOCS / "_static" / "site.js").read_text(encoding="utf-8"), "/* scrubber.js */"
    script = host.replace(mark, "\n" + module.replace(end, "return { render };") + "\n", 1)
    (source / "_static" / "site.js").write_text(script, encoding="utf-8")
    shutil.copy(assets / "scrubber.css", source / "_static")
    katex = source / "_static" / "katex"
    (katex / "fonts").mkdir(parents=True)
    for file in [KATEX / "dist" / "katex.min.css", KATEX / "LICENSE"]:
        shutil.copy(file, katex)
    for font in (KATEX / "dist" / "fonts").glob("*.woff2"):
        shutil.copy(font, katex / "fonts")


def stage(pages: dict[Path, Path], paths: list[Path], source: Path, fast: bool) -> None:
    """Prepare the folder that Sphinx reads."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(DOCS / "_static", source / "_static")
    shutil.copy(DOCS / "conf.py", source)
    shutil.copytree(DOCS / "teach", source / "teach")
    scripts_and_styles(source)
    known = {path.stem for path in paths}
    for path, folder in pages.items():
        stage_notebook(path, folder, source, "lessons/" if path in paths else "", fast, known)
    files = source / "extra" / "notebooks"  # to be downloaded
    (files / "exercises").mkdir(parents=True)
    for path in paths:
        shutil.copy(path.with_suffix(".ipynb"), files)
    for path in (ROOT / "notebooks" / "exercises").glob("*.ipynb"):
        shutil.copy(path, files / "exercises")
    (source / "figures").mkdir()
    for file in (ROOT / "figures").glob("*.*"):
        if file.suffix in (".png", ".svg", ".gif"):
            shutil.copy(file, source / "figures")
    gallery = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    (source / "figures" / "index.md").write_text(to_repository(gallery, "figures/"), encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (source / "changelog.md").write_text(to_repository(changes, ""), encoding="utf-8")
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    index = index.replace("<!-- cards -->", lesson_cards(paths, source)).replace("ADDRESS", rules.ADDRESS)
    index = index.replace("LESSONS", "\n".join(f"lessons/{path.stem}" for path in paths))
    index = index.replace("REFERENCE", "\n".join(reference(source)))
    index = index.replace("<!-- fast -->", FAST_BOX if fast else "")
    (source / "index.md").write_text(index, encoding="utf-8")


# --- build -------------------------------------------------------------------------------------------------


def fetch() -> None:
    """Fetch what comes from npm, in the versions and with the checksums of package-lock.json; once."""
    lock, marker = DOCS / "package-lock.json", DOCS / "node_modules" / ".fetched"
    if marker.exists() and marker.read_bytes() == lock.read_bytes():
        return
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise SystemExit(
            "The site needs Node.js with npm for its formulas: https://nodejs.org"
            " (Debian and Ubuntu: sudo apt-get install nodejs npm)"
        )
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    if subprocess.run(command, cwd=DOCS).returncode:
        raise SystemExit("npm ci failed: the first `make site` needs the network, to fetch KaTeX")
    marker.write_bytes(lock.read_bytes())


def make(names: list[str], out: Path, work: Path, fast: bool) -> None:
    """Build the site into `out`."""
    from nbclient.exceptions import CellExecutionError

    fetch()
    paths, package = build.lessons(names), package_hash()
    try:
        pages = {path: executed(path, work, fast, package) for path in [DOCS / "sliders.py", *paths]}
    except CellExecutionError as error:
        raise SystemExit(f"{error}\na cell raised; the site was left as it was") from None
    source, result = work / "source", work / "html"
    stage(pages, paths, source, fast)
    shutil.rmtree(result, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-E", "-W", "--keep-going", "-q"]
    command += ["-d", str(work / "doctrees"), str(source), str(result)]
    if status := subprocess.run(command, env={**os.environ, "DDPM_LITE_ROOT": str(ROOT)}).returncode:
        raise SystemExit(status)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(result, out)
    print(f"{out}/index.html: {len(list(out.rglob('*.html')))} pages")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="LESSON")
    parser.add_argument("--fast", action="store_true", default=os.environ.get("SITE_FAST") == "1")
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    parser.add_argument("--work", type=Path, default=ROOT / ".site")
    options = parser.parse_args(arguments)
    make(options.names, options.out.resolve(), options.work.resolve(), options.fast)


if __name__ == "__main__":
    main()
