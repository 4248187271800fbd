"""Lessons: each one is built, within the rules, and runs; and the build itself, on real kernels."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import build
import rules

ROOT = Path(__file__).resolve().parent.parent
LESSONS = build.lessons()
IDS = [path.stem for path in LESSONS]


def run_nbval(notebook: Path, *, strict: bool) -> subprocess.CompletedProcess[str]:
    """Run one notebook under nbval: in full mode with outputs compared (strict), or in fast mode without."""
    environment = {k: v for k, v in os.environ.items() if k != "DDPM_LITE_FAST"}
    if not strict:
        environment["DDPM_LITE_FAST"] = "1"
    command = [sys.executable, "-m", "pytest", str(notebook), "--nbval" if strict else "--nbval-lax"]
    command += [
        "--nbval-current-env",
        "--nbval-cell-timeout=240",
        "--color=no",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    command += [f"--nbval-sanitize-with={ROOT / 'tests' / 'nbval_sanitize.cfg'}"]
    command += ["-o", "addopts=", "-o", "filterwarnings=default", "-o", "timeout=0"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize("lesson", LESSONS, ids=IDS)
def test_lesson_is_built_and_within_the_rules(lesson: Path) -> None:
    assert build.check(lesson) == []


@pytest.mark.parametrize("lesson", LESSONS, ids=IDS)
def test_lesson_runs(lesson: Path) -> None:
    result = run_nbval(lesson.with_suffix(".ipynb"), strict=lesson.stem not in rules.SLOW)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


def test_slow_lessons_exist() -> None:
    assert set(rules.SLOW) <= set(IDS)


TINY = '# %%\nprint("two", 1 + 1)\n\n# %% tags=["kept"]\nimport os\nos.environ.get("DDPM_LITE_FAST")\n'


def test_build_keeps_ids_and_changes_nothing_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDPM_LITE_FAST", "1")  # lessons are committed as they run in full mode
    path = tmp_path / "01_tiny.py"
    path.write_text(TINY)
    assert not build.is_current(path)
    build.execute(path)
    assert build.is_current(path)
    first = path.with_suffix(".ipynb").read_text()
    built = build.read_built(path)
    assert built is not None
    assert built.cells[0].outputs[0].text == "two 2\n" and built.cells[1].outputs == []
    assert built.cells[1].metadata == {"tags": ["kept"]}
    build.execute(path)
    assert path.with_suffix(".ipynb").read_text() == first

    path.write_text(TINY.replace("1 + 1", "1 + 2"))
    assert not build.is_current(path)
    build.execute(path)
    again = build.read_built(path)
    assert again is not None
    assert [cell.id for cell in again.cells] == [cell.id for cell in built.cells]
    assert again.cells[0].outputs[0].text == "two 3\n"


def test_new_words_keep_the_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "01_tiny.py"
    path.write_text("# %% [markdown]\n# Old.\n\n" + TINY)
    build.execute(path)
    built = build.read_built(path)
    built.cells[1].outputs[0].text = "as it was\n"  # so that a second execution would be seen
    nbformat.write(built, path.with_suffix(".ipynb"))

    path.write_text("# %% [markdown]\n# New.\n\n# %% [markdown]\n# More.\n\n" + TINY)
    build.build([path], force=False)
    again = build.read_built(path)
    assert "01_tiny: new words" in capsys.readouterr().out and build.is_current(path)
    assert [cell.source for cell in again.cells[:2]] == ["New.", "More."]
    assert again.cells[2].outputs[0].text == "as it was\n" and again.cells[2].id == built.cells[1].id

    path.write_text(TINY.replace("two", "2"))
    assert not build.reword(path), "code that changed is executed"


def test_what_a_build_stores_of_outputs() -> None:
    def stream(name: str, text: str) -> nbformat.NotebookNode:
        return nbformat.v4.new_output("stream", name=name, text=text)

    def widget(text: str) -> nbformat.NotebookNode:
        data = {rules.WIDGET_VIEW: {"model_id": "1"}, "text/plain": text}
        return nbformat.v4.new_output("display_data", data)

    outputs = [
        stream("stdout", "a"),
        stream("stdout", "b"),
        stream("stderr", "c"),
        widget("  0%|   | 0/3"),
        widget("A slider"),
    ]
    assert build.tidy(outputs) == [
        stream("stdout", "ab"),
        stream("stderr", "c"),
        nbformat.v4.new_output("display_data", {"text/plain": "A slider"}),
    ]


def test_a_lesson_that_raises_leaves_the_built_one_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "01_tiny.py"
    path.write_text('# %%\nraise ValueError("this is wrong")\n')
    assert build.build([path], force=False) == 1
    assert not path.with_suffix(".ipynb").exists()
    assert "this is wrong" in capsys.readouterr().out


@pytest.mark.parametrize("text, passes", [("two 2\n", True), ("two 3\n", False)])
def test_strict_mode_compares_outputs(tmp_path: Path, text: str, passes: bool) -> None:
    code = nbformat.v4.new_code_cell('print("two", 1 + 1)', execution_count=1)
    code.outputs = [nbformat.v4.new_output("stream", text=text)]
    nbformat.write(nbformat.v4.new_notebook(cells=[code]), tmp_path / "a.ipynb")
    assert (run_nbval(tmp_path / "a.ipynb", strict=True).returncode == 0) is passes


def test_fast_mode_reaches_the_kernel_and_fails_on_an_error(tmp_path: Path) -> None:
    for name, source in {"a": 'assert os.environ["DDPM_LITE_FAST"] == "1"', "b": "assert False"}.items():
        code = nbformat.v4.new_code_cell(f"import os\n{source}")
        nbformat.write(nbformat.v4.new_notebook(cells=[code]), tmp_path / f"{name}.ipynb")
    assert run_nbval(tmp_path / "a.ipynb", strict=False).returncode == 0
    assert run_nbval(tmp_path / "b.ipynb", strict=False).returncode == 1


def test_names_choose_lessons(tmp_path: Path) -> None:
    for name in ("01_a.py", "02_b.py", "build.py"):
        (tmp_path / name).write_text("")
    assert [path.stem for path in build.lessons(None, tmp_path)] == ["01_a", "02_b"]
    assert [path.stem for path in build.lessons(["02", "notebooks/01_a.ipynb"], tmp_path)] == ["01_a", "02_b"]
    with pytest.raises(SystemExit, match="no lesson is called '03'; known are: 01_a, 02_b"):
        build.lessons(["03"], tmp_path)


@pytest.mark.parametrize("path", build.lessons(), ids=lambda path: path.stem)
def test_no_later_cell_takes_a_name_that_a_slider_needs(path: Path) -> None:
    """A slider calls its function after all cells have run: what the function reads must still mean what it meant."""
    trees = [ast.parse(cell.source) for cell in build.read_source(path).cells if cell.cell_type == "code"]
    functions = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    for i, tree in enumerate(trees):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if getattr(call.func, "attr", getattr(call.func, "id", "")) == "explore":
                assert isinstance(call.args[0], ast.Name)
                if call.args[0].id not in functions:  # an object that keeps its own state, such as a PosteriorPicture
                    made = [node for tree in trees[: i + 1] for node in ast.walk(tree) if isinstance(node, ast.Name)]
                    assert any(node.id == call.args[0].id and isinstance(node.ctx, ast.Store) for node in made)
                    continue
                function = functions[call.args[0].id]
                used = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
                inner = {node.id for node in used if isinstance(node.ctx, ast.Store)}
                inner |= {argument.arg for argument in function.args.args}
                needed = {node.id for node in used} - inner
                assert needed
                later = [node for tree in trees[i + 1 :] for node in ast.walk(tree) if isinstance(node, ast.Name)]
                assert not needed & {node.id for node in later if isinstance(node.ctx, ast.Store)}
