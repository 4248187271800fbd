"""What a lesson must look like: its header, its setup cell, its sections, and the budget that keeps it short.

`build.py check` applies these rules to every lesson; CONTRIBUTING.md explains them.
"""

from __future__ import annotations

import ast
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ADDRESS: str = PROJECT["project"]["urls"]["Repository"]
TAG = "v" + PROJECT["project"]["version"]  # named by badges and setup cells, so that a lesson and its package agree
SLOW: list[str] = PROJECT["tool"]["ddpm_lite"]["slow_lessons"]
GALLERIES: list[str] = PROJECT["tool"]["ddpm_lite"]["galleries"]

CELLS = range(25, 41)
CODE_LINES, CODE_LINES_MEDIAN, CODE_WIDTH, SETUP_LINES = 30, 8, 100, 12
WORDS, SLIDERS, EXERCISES = 80, 3, range(3, 6)
BYTES, SECONDS = 1_000_000, 60
VERBS = set(
    """
    Add Ask Break Build Choose Climb Compare Compute Count Derive Draw Drive Explain Find Fit Follow
    Fool Go Guess Guide Jump Learn Leave Look Make Mark Measure Meet Melt Mend Open Paint Play
    Predict Prove Race Read Recover Repair Reverse Ride Run Sample Say See Shape Shrink Skip Solve
    Speed Start Steer Step Stop Take Teach Tell Test Trace Train Turn Undo Use Walk Watch Weigh
    Write
    """.split()
)
WIDGETS = {"scrub", "explore", "interact", "interactive", "interactive_output"}
SECTIONS = ["The same thing in the library", "What we saw", "Exercises", "References"]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT_METADATA = ("tags", "nbgrader", "slideshow")
TEXT = {".cff", ".html", ".ipynb", ".js", ".json", ".md", ".py", ".rst", ".toml", ".txt", ".yaml", ".yml"}

INSTALL = f'address = "git+{ADDRESS}@{TAG}"'
SETUP = f"""\
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    {INSTALL}
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()
"""
HEADER = re.compile(
    r"# (?P<title>[^\n]+)\n\n"
    r"\[!\[Open in Colab\]\((?P<badge>[^)\s]+)\)\]\((?P<link>[^)\s]+)\)\n\n"
    r"\*\*What you will do:\*\* (?P<do>[^\n]+)\n\n"
    r"\*\*Learn:\*\*\n\n(?P<learn>(?:- [^\n]+\n){3})\n"
    r"\*\*Need:\*\* (?P<need>[^\n]+)\n\n"
    r"\*\*Minutes:\*\* (?P<minutes>\d+)"
)
EXERCISE = re.compile(r"^#+ Exercise (\d+): (.+) \((easy|medium|hard), (\d+) minutes\)$", re.MULTILINE)


@dataclass(frozen=True)
class Budget:
    """How long a lesson may be: cells, sliders, and exercises beside those of its set."""

    cells: range
    sliders: int
    exercises: range


LESSON, GALLERY = Budget(CELLS, SLIDERS, EXERCISES), Budget(range(25, 71), 14, range(0, 6))


@dataclass(frozen=True)
class Header:
    """What the first cell of a lesson says about it."""

    title: str
    do: str
    learn: list[str]
    need: str
    minutes: int
    badge: str


def checked_address(url: str) -> str:
    """A project's address without what browsers and git add to it; SystemExit where it is none."""
    match = re.fullmatch(r"(https://github\.com/[A-Za-z0-9-]+/[\w.-]*?\w)(?:\.git)?/?", url, re.ASCII)
    if match is None:
        raise SystemExit(
            f"URL: got {url!r}, wanted https://github.com/OWNER/REPOSITORY"
            " (badges need GitHub: Colab opens lessons from no other host)"
        )
    return match[1]


def with_address(text: str, old: str, new: str | None = None) -> str:
    """A text in which the address `old`, in every form it takes, is `new`, with this version's tag.

    The forms: the repository, its notebooks in Colab, its image on Binder, and its pages. Without `new` the
    address is taken away.
    """
    (old_owner, old_name), (owner, name) = (
        url.removeprefix("https://github.com/").split("/") if url else ("", "") for url in (old, new)
    )
    end = r"(?![\w-]|\.(?!git\b)\w)"
    places = r"(github\.com/|/github/|mybinder\.org/v2/gh/)"
    repository = rf"{places}{re.escape(old_owner)}/{re.escape(old_name)}{end}((?:@|/blob/|/tree/|/)v\d+(?:\.\d+)+)?"

    def replaced(match: re.Match[str]) -> str:
        tag = match[2] and re.sub(r"v[\d.]+$", TAG, match[2])
        return f"{match[1]}{owner}/{name}{tag or ''}"

    text = re.sub(repository, replaced, text)
    pages = rf"\b{re.escape(old_owner)}\.github\.io/{re.escape(old_name)}{end}"
    return re.sub(pages, f"{owner}.github.io/{name}", text)


def badge(name: str) -> str:
    """The Colab badge of a lesson, as Markdown."""
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab(name)})"


def colab(name: str) -> str:
    """The address at which Colab opens a lesson, or a set ("exercises/NN_name")."""
    owner_repo = ADDRESS.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_repo}/blob/{TAG}/notebooks/{name}.ipynb"


def budget(name: str) -> Budget:
    """How long the lesson `name` may be."""
    return GALLERY if name in GALLERIES else LESSON


def read_header(source: str) -> Header:
    """The header of a lesson from its first cell; ValueError where that cell has another form."""
    match = HEADER.fullmatch(source.strip())
    if match is None:
        raise ValueError(
            "the first cell is not a lesson header as CONTRIBUTING.md shows it:"
            " title, badge, what you will do, three things to learn, need, minutes"
        )
    learn = [line.removeprefix("- ") for line in match["learn"].splitlines()]
    mark = f"[![Open in Colab]({match['badge']})]({match['link']})"
    return Header(match["title"], match["do"], learn, match["need"], int(match["minutes"]), mark)


def count_words(markdown: str) -> int:
    """Words of prose in a cell: formulas, fenced code, addresses and HTML tags are not words."""
    blocks = r"```.*?```|\$\$.*?\$\$|\\begin\{.*?\\end\{\w+\*?\}|<[^>\n]+>"
    text = re.sub(blocks, " ", markdown, flags=re.DOTALL)
    text = re.sub(r"\$[^$\n]+\$", " ", text)
    text = re.sub(r"(\[[^\]]*\])\([^)]*\)", r"\1", text)
    return sum(any(c.isalnum() for c in word) for word in text.split())


def count_lines(code: str) -> int:
    """Lines of a code cell that are not blank."""
    return sum(bool(line.strip()) for line in code.splitlines())


def count_sliders(code: str) -> int:
    """Widgets that a code cell makes: calls of scrub, explore or interact, and sliders outside of them."""

    def count(node: ast.AST) -> int:
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in WIDGETS or name.endswith("Slider"):
                return 1
        return sum(count(child) for child in ast.iter_child_nodes(node))

    return count(ast.parse(code))


def images_without_alt(markdown: str) -> list[str]:
    """Images in a Markdown cell that carry no alternative text."""
    found = re.findall(r"!\[\s*\]\([^)]*\)", markdown)
    found += [t for t in re.findall(r"<img\b[^>]*>", markdown) if not re.search(r"""alt=["'][^"']*\w""", t)]
    return found


def check_header(name: str, source: str) -> list[str]:
    """What is wrong with the first cell of the lesson `name`."""
    try:
        header = read_header(source)
    except ValueError as error:
        return [str(error)]
    problems = []
    if header.title.split()[0].strip(",:") not in VERBS:
        problems.append(f"title {header.title!r} does not begin with a verb that notebooks/rules.py lists in VERBS")
    if header.badge != badge(name):
        problems.append("the badge does not open this lesson (run `python notebooks/build.py stamp`)")
    return problems


def check_setup(source: str) -> list[str]:
    """What is wrong with the setup cell."""
    problems = []
    if not source.startswith(SETUP):
        problems.append("the setup cell does not begin as CONTRIBUTING.md shows")
    if "use_style()" not in source or "torch.Generator().manual_seed(" not in source:
        problems.append("the setup cell sets no plot style or no generator")
    if count_lines(source) > SETUP_LINES:
        problems.append(f"the setup cell has {count_lines(source)} lines, more than {SETUP_LINES}")
    return problems


def check_anatomy(name: str, cells: list[Any]) -> list[str]:
    """What a lesson lacks of its parts: header, setup, sections, exercises."""
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    text = [cell.source for cell in cells if cell.cell_type == "markdown"]
    problems = check_header(name, cells[0].source if cells[0].cell_type == "markdown" else "")
    problems += check_setup(code[0] if code else "")
    headings = re.findall(r"^#+ (.+)$", "\n".join(text), re.MULTILINE)
    wanted = SECTIONS[1:] if name.startswith("00_") else SECTIONS
    problems += [f"has no section {section!r}" for section in wanted if section not in headings]
    numbers = [int(n) for n, *_ in EXERCISE.findall("\n".join(text))]
    allowed = budget(name).exercises
    if len(numbers) not in allowed or numbers != list(range(1, len(numbers) + 1)):
        problems.append(
            f"exercises are numbered {numbers}; wanted {allowed[0]} to {allowed[-1]}, "
            "each headed '### Exercise 1: Name (easy|medium|hard, N minutes)'"
        )
    return problems


def check_budget(name: str, cells: list[Any]) -> list[str]:
    """Where the lesson `name` is too long, too dense, or written in a way that does not travel."""
    problems, lines, sliders, allowed = [], [], 0, budget(name)
    if len(cells) not in allowed.cells:
        problems.append(f"has {len(cells)} cells, wanted {allowed.cells[0]} to {allowed.cells[-1]}")
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            if (words := count_words(cell.source)) > WORDS:
                problems.append(f"cell {i}: {words} words, more than {WORDS}")
            problems += [f"cell {i}: no alternative text: {image}" for image in images_without_alt(cell.source)]
            continue
        if cell.cell_type != "code":
            problems.append(f"cell {i}: a {cell.cell_type} cell")
            continue
        lines.append(count_lines(cell.source))
        height = len(cell.source.splitlines()) if lines[-1] else 0
        if not 0 < height <= CODE_LINES:
            problems.append(f"cell {i}: {height} lines of code, wanted 1 to {CODE_LINES}")
        if max(map(len, cell.source.splitlines()), default=0) > CODE_WIDTH:
            problems.append(f"cell {i}: a line of code is longer than {CODE_WIDTH} characters")
        if re.search(r"^\s*(?:[%!]|# *%\w)", cell.source, re.MULTILINE):
            problems.append(f"cell {i}: a magic or shell line")
        elif re.search(r";\s*$", cell.source, re.MULTILINE):
            problems.append(f"cell {i}: a line ends with ';'")
        else:
            try:
                sliders += count_sliders(cell.source)
            except SyntaxError as error:
                problems.append(f"cell {i}: does not parse: {error}")
    if lines and statistics.median(lines) > CODE_LINES_MEDIAN:
        problems.append(f"the median code cell has {statistics.median(lines):g} lines, more than {CODE_LINES_MEDIAN}")
    if sliders > allowed.sliders:
        problems.append(f"{sliders} sliders, more than {allowed.sliders}")
    return problems


def check_pair(source: Any, built: Any) -> list[str]:
    """Where the built notebook differs from its source, cell by cell: type, text, kept metadata."""
    if len(source.cells) != len(built.cells):
        return [f"the .py has {len(source.cells)} cells, the .ipynb {len(built.cells)}: build it"]

    def kept(cell: Any) -> tuple[str, str, dict[str, Any]]:
        return cell.cell_type, cell.source, {k: cell.metadata[k] for k in KEPT_METADATA if k in cell.metadata}

    pairs = enumerate(zip(source.cells, built.cells, strict=True))
    return [f"cell {i} differs between .py and .ipynb: build it" for i, (a, b) in pairs if kept(a) != kept(b)]


def check_built(built: Any) -> list[str]:
    """What is wrong with a built notebook as such: order of execution, stored errors, stored widget state."""
    code = [cell for cell in built.cells if cell.cell_type == "code"]
    problems = []
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        problems.append("code cells were not executed once each from top to bottom")
    for i, cell in enumerate(built.cells):
        outputs = cell.get("outputs", [])
        if any(output.output_type == "error" for output in outputs):
            problems.append(f"cell {i}: the stored output is an error")
        if any(WIDGET_VIEW in output.get("data", {}) for output in outputs):
            problems.append(f"cell {i}: the view of a widget is stored; build the lesson, which keeps its text only")
    if "widgets" in built.metadata:
        problems.append("widget state is stored in metadata.widgets (GitHub may refuse the file)")
    return problems
