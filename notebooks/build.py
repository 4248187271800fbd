"""Build the lessons: from NN_name.py (the source, percent format) to NN_name.ipynb (executed, with outputs).

    python notebooks/build.py build [NAME ...]   execute lessons whose code changed (--force: all), and check them;
                                                 where only words changed, the outputs stay
    python notebooks/build.py check [NAME ...]   compare each pair; hold lessons to the rules (rules.py)
    python notebooks/build.py stamp              write this address, version and setup cell wherever they stand
    python notebooks/build.py stamp --url URL    set the project's address first (`make address URL=...`)
    python notebooks/build.py table              write the table of lessons into README.md
    python notebooks/build.py covers             write one small picture a lesson to figures/lessons/

A NAME is a lesson, or the beginning of one: `01`, `01_noise_schedules`, `notebooks/01_noise_schedules.py`.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import rules

HERE = Path(__file__).resolve().parent
README = rules.ROOT / "README.md"
COVERS = rules.ROOT / "figures" / "lessons"
BEGIN, END = "<!-- lessons: begin (python notebooks/build.py table) -->", "<!-- lessons: end -->"
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def lessons(names: list[str] | None = None, folder: Path = HERE) -> list[Path]:
    """The sources of the lessons, in order; all, or those that `names` name."""
    found = sorted(folder.glob("[0-9][0-9]_*.py"))
    if not names:
        return found
    chosen = []
    for name in names:
        matches = [path for path in found if path.stem.startswith(Path(name).stem)]
        if not matches:
            known = ", ".join(p.stem for p in found) or "none"
            raise SystemExit(f"no lesson is called {name!r}; known are: {known}")
        chosen += matches
    return sorted(set(chosen))


def read_source(path: Path) -> Any:
    """The notebook that a .py describes, without outputs."""
    import jupytext
    from jupytext.config import load_jupytext_configuration_file

    config = load_jupytext_configuration_file(str(HERE / "jupytext.toml"))
    return jupytext.read(path, fmt={"extension": ".py", "format_name": "percent"}, config=config)


def read_built(path: Path) -> Any | None:
    """The built notebook beside a source, or None where there is none."""
    import nbformat

    built = path.with_suffix(".ipynb")
    return nbformat.read(built, as_version=4) if built.exists() else None


def is_current(path: Path) -> bool:
    """Whether the built notebook is there, says what its source says, and was executed."""
    built = read_built(path)
    return built is not None and not rules.check_pair(read_source(path), built) and not rules.check_built(built)


def read_joined(path: Path) -> Any:
    """The notebook that a .py describes, with the ids and outputs that the built one has for cells of the same text."""
    import nbformat
    from jupytext.combine import combine_inputs_with_outputs

    notebook, old = read_source(path), read_built(path)
    if old is not None:
        notebook = combine_inputs_with_outputs(notebook, old, {"extension": ".py", "format_name": "percent"})
    notebook.metadata = nbformat.from_dict(KERNEL)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in rules.KEPT_METADATA})
    return notebook


def reword(path: Path) -> bool:
    """Write the words of a lesson whose code was executed as it is; whether it is such a lesson."""
    import nbformat

    source, built = read_source(path), read_built(path)
    if built is None or rules.check_built(built):
        return False
    codes = [[cell.source for cell in notebook.cells if cell.cell_type == "code"] for notebook in (source, built)]
    if codes[0] != codes[1]:
        return False
    nbformat.write(read_joined(path), path.with_suffix(".ipynb"))
    return is_current(path)


def execute(path: Path) -> float:
    """Execute one lesson in full mode and write it, keeping the ids of its cells; returns the seconds."""
    import nbformat
    from nbclient import NotebookClient

    notebook = read_joined(path)
    environment = {k: v for k, v in os.environ.items() if k != "DDPM_LITE_FAST"}
    client = NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.perf_counter()
    client.execute(env=environment)
    seconds = time.perf_counter() - start
    notebook.metadata = nbformat.from_dict(KERNEL)  # nbclient adds the interpreter's version
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = tidy(cell.outputs)
    nbformat.write(notebook, path.with_suffix(".ipynb"))
    return seconds


def tidy(outputs: list[Any]) -> list[Any]:
    """Outputs as they are stored: the same on each run, and of use without a kernel.

    Pieces of a stream, which arrive cut differently each time, are joined. Of a widget its text is kept, as
    its view names a model that is gone (JupyterLab would show an error). A progress bar, which stands at 0 %
    without its view, is left out.
    """
    kept: list[Any] = []
    for output in outputs:
        if kept and "name" in output and output.name == kept[-1].get("name"):  # only streams have a name
            kept[-1].text += output.text
            continue
        view = output.get("data", {}).pop(rules.WIDGET_VIEW, None)
        if view is None or not re.match(r"\s*\d+%\|", output.data.get("text/plain", "")):
            kept.append(output)
    return kept


def check(path: Path) -> list[str]:
    """Everything that is wrong with one lesson, source and built."""
    source, built = read_source(path), read_built(path)
    if not source.cells:
        return ["has no cells"]
    problems = rules.check_anatomy(path.stem, source.cells) + rules.check_budget(path.stem, source.cells)
    if built is None:
        return [*problems, "was never built"]
    problems += rules.check_pair(source, built) + rules.check_built(built)
    if (size := path.with_suffix(".ipynb").stat().st_size) > rules.BYTES:
        problems.append(f"the .ipynb has {size / 1e6:.2f} MB, more than {rules.BYTES / 1e6:g}")
    return problems


def build(paths: list[Path], force: bool) -> int:
    """Execute what changed, then check it; returns the number of problems."""
    from nbclient.exceptions import CellExecutionError

    count = 0
    for path in paths:
        if not force and is_current(path):
            print(f"{path.stem}: nothing changed")
            continue
        if not force and reword(path):
            print(f"{path.stem}: new words, the same code; its outputs stay")
            count += report(path, check(path))
            continue
        print(f"{path.stem}: running ...", flush=True)
        try:
            seconds = execute(path)
        except CellExecutionError as error:
            print(f"{error}\n{path.stem}: a cell raised; the .ipynb was left as it was")
            count += 1
            continue
        print(f"{path.stem}: {seconds:.0f} s, {path.with_suffix('.ipynb').stat().st_size / 1e6:.2f} MB")
        problems = check(path)
        if seconds > rules.SECONDS and path.stem not in rules.SLOW:
            problems.append(f"took {seconds:.0f} s: make it faster, or name it in pyproject.toml's slow_lessons")
        count += report(path, problems)
    return count


def report(path: Path, problems: list[str]) -> int:
    """Print the problems of one lesson; returns their number."""
    for problem in problems:
        print(f"{path.stem}: {problem}")
    return len(problems)


def stamp(url: str) -> None:
    """Make `url` the project's address, and this version the one that badges and setup cells name, everywhere.

    Every text file of the project is looked at. Of a built lesson only sources of cells change: nothing is
    executed, and its outputs and ids stay as they are.
    """
    url, written = rules.checked_address(url), []
    texts = {path: path.read_text(encoding="utf-8") for path in text_files()}
    if url != rules.ADDRESS:
        taken = [str(p.relative_to(rules.ROOT)) for p, t in texts.items() if rules.with_address(t, url) != t]
        if taken:  # two addresses would become one, and could not be told apart any more
            raise SystemExit(f"URL: got {url}, which stands in {', '.join(taken)} already, as another project's")
    for path, old in texts.items():
        name = f"exercises/{path.stem}" if path.parent.name == "exercises" else path.stem
        if path.suffix == ".ipynb":
            new = stamped_notebook(old, name, url)
        else:
            lesson = path.name == "CONTRIBUTING.md" or re.match(r"\d\d_", path.name) and HERE in path.parents
            new = rules.with_address(stamped_lesson(old, name) if lesson else old, rules.ADDRESS, url)
        if new != old:
            path.write_text(new, encoding="utf-8", newline="\n")
            written.append(str(path.relative_to(rules.ROOT)))
    print(f"{url}, {rules.TAG}: {', '.join(written) or 'nothing to change'}")


def text_files() -> list[Path]:
    """The project's files in which its address may stand."""
    skipped = {"site", "dist", "data", "runs", "samples", "node_modules", "__pycache__"}
    found = []
    for folder, folders, files in os.walk(rules.ROOT):
        hidden = {f for f in folders if f.startswith(".") and f != ".github" or f.endswith(".egg-info")}
        folders[:] = sorted(set(folders) - skipped - hidden)
        found += [Path(folder) / name for name in sorted(files) if Path(name).suffix in rules.TEXT]
    return found


def stamped_lesson(text: str, name: str, comment: str = "# ") -> str:
    """A lesson's source, or the source of one of its cells, with the badge and the setup cell that it must have."""
    badge = rf"(?m)^{comment}\[!\[Open in Colab\]\(.*$"
    setup = r"(?ms)^import importlib\.util, subprocess, sys\n.*?\benable_custom_widget_manager\(\)\n"
    if re.fullmatch(r"(exercises/)?\d\d_\w+", name):
        text = re.sub(badge, lambda _: comment + rules.badge(name), text, count=1)
        text = re.sub(r"\[in Colab\]\([^)]*\)", lambda _: f"[in Colab]({rules.colab(f'exercises/{name}')})", text)
    return re.sub(setup, lambda _: rules.SETUP, text, count=1)


def stamped_notebook(text: str, name: str, url: str) -> str:
    """A built lesson with its sources stamped, the rest as it was, written as nbformat writes."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = stamped_lesson("".join(cell["source"]), name, comment="")
        cell["source"] = rules.with_address(source, rules.ADDRESS, url).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def table() -> str:
    """The table of lessons for the README, from the lessons' own headers."""
    rows = ["| | lesson | what you will do | minutes | |", "|---|---|---|---|---|"]
    for path in lessons():
        header = rules.read_header(read_source(path).cells[0].source)
        name, number = path.stem, path.stem[:2]
        image = f'<img src="figures/lessons/{name}.png" width="160" alt="A figure from lesson {number}">'
        picture = image if (COVERS / f"{name}.png").exists() else ""
        title = f"{number} [{header.title}](notebooks/{name}.ipynb)"
        rows.append(f"| {picture} | {title} | {header.do} | {header.minutes} | {header.badge} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """A README's text with the table between its markers brought up to date."""
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


def cover(path: Path) -> bytes | None:
    """The lesson's picture for the table, made small: the first PNG, of the cell tagged `cover` if any."""
    from PIL import Image

    cells = [cell for cell in (read_built(path) or {"cells": []})["cells"] if cell.cell_type == "code"]
    cells.sort(key=lambda cell: "cover" not in cell.metadata.get("tags", []))  # stable: else in the lesson's order
    for output in (output for cell in cells for output in cell.outputs):
        if "image/png" in output.get("data", {}):
            image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
            image.thumbnail((320, 320))
            buffer = io.BytesIO()
            image.quantize(64).save(buffer, "PNG", optimize=True)
            return buffer.getvalue()
    return None


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("verb", choices=["build", "check", "stamp", "table", "covers"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="lessons; all of them when none is named")
    parser.add_argument("--force", action="store_true", help="build: execute even what did not change")
    parser.add_argument("--url", default=rules.ADDRESS, help="stamp: https://github.com/OWNER/REPOSITORY")
    options = parser.parse_args(arguments)
    paths = lessons(options.names)
    count = 0
    if options.verb == "build":
        count = build(paths, options.force)
    elif options.verb == "check":
        count = sum(report(path, check(path)) for path in paths)
        print(f"{len(paths)} lessons, {count} problems")
    elif options.verb == "stamp":
        stamp(options.url)
    elif options.verb == "table":
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        COVERS.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if (png := cover(path)) is not None:
                (COVERS / f"{path.stem}.png").write_bytes(png)
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
