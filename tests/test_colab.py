"""Lessons as Colab runs them: alone in an empty folder, where the setup cell has to install the package.

`make test` runs two lessons with the ipywidgets at hand, `make colab-check` all of them, also with Colab's old ones and
without the canvas. What stands in for Colab is described in as_in_colab.py; nothing here has run on Colab itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import as_in_colab
import build
import rules
from test_project import block, tracked

LESSONS = build.lessons()
IN_TEST = {"00_start_here", "06_train_mnist"}
SETTINGS = ["this", "old", "old, no canvas"]  # the ipywidgets, and whether anywidget's canvas may be used


def cases() -> list[Any]:
    both = [(lesson, setting) for lesson in LESSONS for setting in SETTINGS]
    return [
        pytest.param(
            lesson,
            setting,
            id=f"{lesson.stem}-{setting}",
            marks=[] if setting == "this" and lesson.stem in IN_TEST else pytest.mark.colab,
        )
        for lesson, setting in both
    ]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the public address leads to this checkout."""
    folder = tmp_path_factory.mktemp("published")
    names = [str(path.relative_to(rules.ROOT)) for path in tracked()]
    return as_in_colab.publish(folder / "repository.git", folder / "gitconfig", names)


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default")  # of other libraries' old releases
@pytest.mark.parametrize("lesson, setting", cases())
def test_a_lesson_runs_alone(lesson: Path, setting: str, published: dict[str, str], tmp_path: Path) -> None:
    first = None
    if setting != "this":
        if not as_in_colab.COLAB.exists():
            pytest.fail(f"{as_in_colab.COLAB} is not there; `make colab-check` makes it")
        first = as_in_colab.Python(as_in_colab.COLAB).packages
    python = as_in_colab.fresh(tmp_path / "python", first)
    before = python.versions()
    assert "torch" in before and "ddpm_lite" not in before
    environment = published | ({"DDPM_LITE_CANVAS": "0"} if "no canvas" in setting else {})
    notebook, found = as_in_colab.execute(lesson.with_suffix(".ipynb"), tmp_path / "empty", python, environment)

    after = python.versions()
    assert after.pop("ddpm_lite") == [rules.TAG.removeprefix("v"), str(python.packages)]
    assert after == before  # nothing that was there is replaced
    assert Path(found["file"]).is_relative_to(python.packages)
    assert found["ipywidgets"] == before["ipywidgets"][0] and (setting == "this" or found["ipywidgets"] == "7.7.1")
    assert found["calls"] and set(found["calls"]) == {"enable_custom_widget_manager"}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))  # one kernel, no restart
    assert code[0].outputs == []
    shown = as_in_colab.views(notebook)
    assert len(shown) >= sum(rules.count_sliders(cell.source) > 0 for cell in code) > 0
    for view in shown:  # else Colab draws it with a manager that does not know the canvas
        assert "custom_widget_manager" in view.metadata[rules.WIDGET_VIEW]["colab"]
    assert ("anywidget" in as_in_colab.models(notebook)) == ("no canvas" not in setting)
    assert [path.name for path in (tmp_path / "empty").iterdir()] == [lesson.with_suffix(".ipynb").name]


def test_every_lesson_has_the_setup_cell_that_contributing_shows() -> None:
    shown = block("CONTRIBUTING.md", "setup")
    assert shown.startswith(rules.SETUP)
    for lesson in LESSONS:
        assert f"\n{rules.SETUP}" in lesson.read_text(encoding="utf-8"), f"{lesson.stem}: run build.py stamp"


def test_where_the_package_is_there_the_setup_cell_does_nothing(tmp_path: Path) -> None:
    """In a local JupyterLab, with the network or without: no process is started, and nothing of Colab is imported."""
    code = f"""
import sys
def audit(event, arguments):
    if event in {{"subprocess.Popen", "os.system", "socket.connect", "socket.getaddrinfo"}}:
        raise RuntimeError(event)
sys.addaudithook(audit)
before = set(globals()) | {{"before"}}
{rules.SETUP}
print(sorted(set(globals()) - before), [name for name in sys.modules if name.startswith(("google", "ddpm_lite"))])
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=60)
    assert result.stdout == "['importlib', 'subprocess'] []\n", result.stderr


@pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])
def test_what_shows_no_widgets_shows_a_picture_and_a_sentence(lesson: Path) -> None:
    """As GitHub does: above each slider stands a still picture, with a text, and in its own place a sentence."""
    built = build.read_built(lesson)
    assert built is not None
    above: list[str] = []
    for cell in (cell for cell in built.cells if cell.cell_type == "code"):
        here = [output.get("metadata", {}).get("image/png", {}).get("alt") for output in cell.outputs]
        texts = [output.data["text/plain"] for output in cell.outputs if output.output_type == "execute_result"]
        sentences = [text for text in texts if re.match(r"A (slider over|picture to explore by) .*\.$", text)]
        sliders = rules.count_sliders(cell.source)
        assert len(sentences) == (sliders > 0), f"{cell.source}\n{texts}"
        pictures = [alt for alt in here if alt]
        assert not sliders or any(len(alt.split()) > 2 for alt in pictures + above), f"no picture above: {cell.source}"
        above = pictures
