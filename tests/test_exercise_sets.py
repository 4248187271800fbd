"""The sets of exercises: built, within the rules, solvable; a student's file holds nothing that it should not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

import build
import exercises
import set_rules
from ddpm_lite.teach.sets import student_code

SETS = exercises.sets()
IDS = [path.stem for path in SETS]


def text(*, block: str = "return 2", indent: str = "    ") -> str:
    return f"def f():\n{indent}### BEGIN SOLUTION\n{indent}{block}\n{indent}### END SOLUTION\n\n\nx = f"


@pytest.mark.parametrize("path", SETS, ids=IDS)
def test_a_set_is_built_and_within_the_rules(path: Path) -> None:
    assert exercises.check(path) == []


def test_each_lesson_has_its_set() -> None:
    assert [path.stem for path in build.lessons()] == IDS


@pytest.mark.parametrize("path", SETS, ids=IDS)
def test_the_students_file_holds_no_solution(path: Path) -> None:
    """Line by line, but for lines that the stubs and texts around hold too."""
    built = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    given = {line.strip() for cell in built.cells for line in cell.source.splitlines()}
    blocks = re.findall(r"### BEGIN SOLUTION\n(.*?)\n *### END SOLUTION", path.read_text(encoding="utf-8"), re.DOTALL)
    lines = {line.strip() for block in blocks for line in block.splitlines() if line.strip()}
    assert len(blocks) >= 5 and lines
    assert not {line for line in lines & given if len(line) > len("else:")}
    raw = path.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in raw and "HIDDEN TESTS" not in raw
    assert built.metadata == build.KERNEL
    for cell in built.cells:
        assert cell.metadata == {} and cell.get("outputs", []) == [] and cell.get("execution_count") is None
    assert len({cell.id for cell in built.cells}) == len(built.cells)


@pytest.mark.parametrize("path", SETS, ids=IDS)
def test_all_solutions_are_right(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("DDPM_LITE_GRADING", "1")
    notebook = build.read_source(path)
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    for cell in notebook.cells:
        if re.match(r"check_\w+\(", cell.source):
            assert [output.text for output in cell.outputs if output.text.startswith("Correct. ")], cell.source


@pytest.mark.parametrize("path", SETS, ids=IDS)
def test_nothing_is_attempted_in_the_students_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in exercises.student(path).cells:
        if cell.cell_type == "code":
            capsys.readouterr()
            exec(compile(cell.source, path.name, "exec"), names)
            assert not cell.source.startswith("check_") or capsys.readouterr().out == "Not attempted yet.\n"


def test_stubs_take_the_place_of_solutions() -> None:
    assert student_code(text()) == "def f():\n    raise NotImplementedError\n\n\nx = f"
    assert student_code('### BEGIN SOLUTION\nx = f(\n    "b",\n)\n### END SOLUTION') == "x = ..."
    assert student_code("a = 1\n### BEGIN HIDDEN TESTS\nassert a\n### END HIDDEN TESTS") == "a = 1"


@pytest.mark.parametrize(
    "source, message",
    [
        ("### BEGIN SOLUTION\nx = 1", "has no ### END"),
        ("x = 1\n### END SOLUTION", "has no ### BEGIN before it"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "inside of another block"),
        ("### BEGIN SOLUTION\nx = 1\n### END HIDDEN TESTS", "has no ### BEGIN before it"),
        ("## BEGIN SOLUTION\nx = 1\n### END SOLUTION", "is no marker"),
        ("### Begin Solution\nx = 1", "is no marker"),
        ("### BEGIN SOLUTION\nx = 1\ny = 2\n### END SOLUTION", "must hold one assignment"),
        ("### BEGIN SOLUTION\nprint(1)\n### END SOLUTION", "must hold one assignment"),
    ],
)
def test_markers_are_balanced(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        student_code(source)


def test_ids_depend_on_name_and_position_only() -> None:
    path = SETS[0]
    assert exercises.text_of(path) == exercises.text_of(path)
    ids = [cell.id for path in SETS for cell in exercises.student(path).cells]
    assert len(set(ids)) == len(ids)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of lesson 01 and its set, to change."""
    (tmp_path / "exercises").mkdir()
    for folder in (build.HERE, exercises.HERE):
        for file in [*folder.glob("01_*"), folder / "jupytext.toml"]:
            shutil.copy(file, tmp_path / file.relative_to(build.HERE))
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setattr(exercises, "HERE", tmp_path / "exercises")
    return tmp_path


def test_a_changed_task_goes_into_the_lesson_and_nothing_else_changes(course: Path) -> None:
    source, lesson = course / "exercises/01_noise_schedules.py", course / "01_noise_schedules.py"
    before, built = lesson.read_text(), json.loads(lesson.with_suffix(".ipynb").read_text())
    source.write_text(source.read_text().replace("Which entry has to be 1?", "Which entry is 1, and why?"))
    source.write_text(source.read_text().replace('"""(T,) -> (T+1,)"""', '"""The whole table, (T,) -> (T+1,)"""'))
    problems = exercises.check(source)
    assert any("is not what the source makes" in p for p in problems)
    assert sum("of the lesson's .py is not the set's" in p for p in problems) == 2
    assert sum("of the lesson's .ipynb is not the set's" in p for p in problems) == 2
    assert exercises.main(["build", "01"]) == 0
    assert exercises.check(source) == []
    wanted = before.replace("Which entry has to be 1?", "Which entry is 1, and why?")
    assert lesson.read_text() == wanted.replace('"""(T,) -> (T+1,)"""', '"""The whole table, (T,) -> (T+1,)"""')
    after = json.loads(lesson.with_suffix(".ipynb").read_text())
    differ = [i for i, (a, b) in enumerate(zip(built["cells"], after["cells"], strict=True)) if a != b]
    assert len(differ) == 2
    for i in differ:
        assert {k: v for k, v in built["cells"][i].items() if k != "source"} == {
            k: v for k, v in after["cells"][i].items() if k != "source"
        }
    texts = lesson.read_text(), lesson.with_suffix(".ipynb").read_text(), source.with_suffix(".ipynb").read_text()
    assert exercises.main(["build", "01"]) == 0
    assert texts == (
        lesson.read_text(),
        lesson.with_suffix(".ipynb").read_text(),
        source.with_suffix(".ipynb").read_text(),
    )


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("# *Practises: cumulative", "# *About: cumulative", "exercise 1: the text is not"),
        ("<summary>Second hint</summary>", "<summary>More</summary>", "exercise 1: the text is not"),
        ("# ### Exercise 2:", "# ### Exercise 7:", r"numbered \[1, 7, 3"),
        ("**Minutes:** 45", "**Minutes:** 50", "the header says 50 minutes; its exercises take 45"),
        ("# # Exercises: choose a", "# # Exercises: take a", "the title should be 'Exercises: choose a noise"),
        ("/blob/v0.1.0/notebooks/exercises/01", "/blob/v0.1.0/notebooks/01", "the badge does not open this set"),
        ("import importlib.util", "import importlib", "the setup cell does not begin"),
        ("check_alpha_bar(my_alpha_bar)", "check_alpha_bar(my_alpha_bar)\nx = 1", "is not one call of its check"),
        ("Which entry has to be 1?", "Which? " * 80, "words in the task, more than 80"),
        ("    ### BEGIN SOLUTION", "    ### BEGIN", "'### END SOLUTION' has no ### BEGIN"),
        ("(../01_noise", "(../02_noise", "leads to another lesson"),
        ('Answer as `choice("a", because=1)`.', "Answer.", "exercise 5: a choice says how to answer"),
        ('`choice("a", because=1)`.', '`choice("c", because=2)`.', "how to answer is the answer"),
    ],
)
def test_a_set_outside_the_rules_is_told_why(course: Path, old: str, new: str, message: str) -> None:
    source = course / "exercises/01_noise_schedules.py"
    assert old in source.read_text()
    source.write_text(source.read_text().replace(old, new, 1))
    problems = exercises.check(source)
    assert any(re.search(message, problem) for problem in problems), problems


def test_kinds() -> None:
    assert set_rules.kind('x = choice("a", because=1)\n\ncheck_half_chain(x)') == "choice"
    assert set_rules.kind("def f(beta):\n    return 1\n\ncheck_log_snr_plot(f)") == "plot"
    assert set_rules.kind("def f(T: int) -> float:\n    return 1\n\ncheck_smallest_beta_T(f)") == "number"
    assert set_rules.kind("def f(T: int) -> torch.Tensor:\n    return 1\n\ncheck_alpha_bar(f)") == "code"


def test_a_student_who_saves_touches_no_source(course: Path) -> None:
    import jupytext

    manager = jupytext.TextFileContentsManager(root_dir=str(course))
    source = course / "exercises/01_noise_schedules.py"
    before, times = source.read_bytes(), source.stat().st_mtime_ns
    model = manager.get("exercises/01_noise_schedules.ipynb")
    model["content"]["cells"][1]["source"] += "\nx = 1"
    manager.save(model, "exercises/01_noise_schedules.ipynb")
    assert source.read_bytes() == before and source.stat().st_mtime_ns == times
    saved = json.loads(source.with_suffix(".ipynb").read_text())
    assert "jupytext" not in saved["metadata"] and "x = 1" in "".join(saved["cells"][1]["source"])
    lesson = course / "01_noise_schedules.py"  # in the folder above, a save does write the source: it is paired
    model = manager.get("01_noise_schedules.ipynb")
    model["content"]["cells"][-1]["source"] += "\nMore."
    manager.save(model, "01_noise_schedules.ipynb")
    assert "# More." in lesson.read_text()
    manager.notary.store.close()


def test_a_lesson_keeps_what_only_its_own_cell_imports(course: Path) -> None:
    """A lesson's setup cell imports other names than the set's."""
    source, lesson = course / "exercises/01_noise_schedules.py", course / "01_noise_schedules.py"
    old = "from ddpm_lite.checks import check_half_signal"
    lesson.write_text(lesson.read_text().replace(old, f"import math\n{old}"))
    source.write_text(source.read_text().replace("def half_signal(", "import cmath\n\n\ndef half_signal("))
    exercises.main(["build", "01"])
    assert f"# %%\nimport math\nimport cmath\n{old}\n\n\ndef half_signal(" in lesson.read_text()


def test_stamp_writes_badges_and_setup_cells_of_sets() -> None:
    text = SETS[0].read_text(encoding="utf-8")
    broken = text.replace("notebooks/exercises/", "elsewhere/").replace("@v0.1.0", "@v0.0.1")
    assert broken != text and build.stamped_lesson(broken, f"exercises/{SETS[0].stem}") == text
    notebook = SETS[0].with_suffix(".ipynb").read_text(encoding="utf-8")
    broken = notebook.replace("notebooks/exercises/", "elsewhere/")
    assert build.stamped_notebook(broken, f"exercises/{SETS[0].stem}", build.rules.ADDRESS) == notebook
