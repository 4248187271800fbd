"""The project's address: one value, written into everything that names it, and back without a trace."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import build
import rules
from rules import ADDRESS, ROOT, TAG
from test_project import tracked

NAME = "some-one/other.name"  # not as an address: this file is looked at too
OTHER = f"https://github.com/{NAME}"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the text files that a clone gets."""
    folder = tmp_path_factory.mktemp("original")
    for path in tracked():
        if path.suffix in rules.TEXT or path.name == "Makefile":
            (folder / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.relative_to(ROOT))
    stamp(folder)  # a lesson that is being edited may not be stamped yet
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def stamp(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "notebooks/build.py", "stamp", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_file_names_the_address_that_pyproject_sets() -> None:
    for path in build.text_files():
        text = path.read_text(encoding="utf-8")
        assert rules.with_address(text, ADDRESS, ADDRESS) == text, f"{path}: another tag; run build.py stamp"


def test_the_address_is_set_everywhere_and_back(original: Path, copy: Path) -> None:
    before = contents(original)
    if shutil.which("make"):  # the recipe, with this Python in place of an environment of the copy's own
        recipe = subprocess.run(["make", "-n", "address", f"URL={OTHER}"], cwd=copy, capture_output=True, text=True)
        assert f"notebooks/build.py stamp --url '{OTHER}'" in recipe.stdout
    done = stamp(copy, "--url", f"{OTHER}.git")
    assert done.returncode == 0, done.stderr
    after = contents(copy)
    changed = {name for name in before if before[name] != after[name]}
    assert set(before) == set(after) and changed == {
        name for name in before if f"/{owner_and_name(ADDRESS)}".encode() in before[name]
    }
    assert {"pyproject.toml", "README.md", "CITATION.cff", "CONTRIBUTING.md"} <= changed
    lessons = {f"notebooks/{path.stem}{ending}" for path in build.lessons() for ending in (".py", ".ipynb")}
    assert lessons <= changed
    for name in changed:
        new = after[name].decode()
        assert owner_and_name(ADDRESS) not in new and owner_and_name(OTHER) in new
        assert (
            new.replace(OTHER, ADDRESS).replace(owner_and_name(OTHER), owner_and_name(ADDRESS)) == before[name].decode()
        )
    assert stamp(copy, "--url", ADDRESS).returncode == 0
    assert contents(copy) == before


def owner_and_name(address: str) -> str:
    return address.removeprefix("https://github.com/")


def test_of_a_built_lesson_only_cells_that_name_the_address_change(original: Path, copy: Path) -> None:
    stamp(copy, "--url", OTHER)
    for path in build.lessons():
        old, new = (
            json.loads((folder / f"notebooks/{path.stem}.ipynb").read_text("utf-8")) for folder in (original, copy)
        )
        differing = [i for i, (a, b) in enumerate(zip(old["cells"], new["cells"], strict=True)) if a != b]
        setup = next(i for i, cell in enumerate(old["cells"]) if cell["cell_type"] == "code")
        last = [len(old["cells"]) - 1] * ("in Colab" in "".join(old["cells"][-1]["source"]))  # where its set lies
        assert differing == [0, setup, *last], path.stem
        for i in differing:
            source = "".join(new["cells"][i]["source"])
            assert f"/{owner_and_name(OTHER)}" in source and TAG in source
            old["cells"][i]["source"] = new["cells"][i]["source"]
        assert old == new


def test_a_setup_cell_and_a_badge_that_differ_are_mended(original: Path, copy: Path) -> None:
    """As after a change of the setup cell in rules.py, or of the version."""
    for ending in (".py", ".ipynb"):
        path = next((copy / "notebooks").glob(f"00_*{ending}"))
        text = path.read_text("utf-8")
        worse = (
            text.replace("subprocess.run([sys", "subprocess.call([sys")
            .replace(TAG, "v0.0.9")
            .replace("/notebooks/00_", "/notebooks/01_")
        )
        assert worse != text
        path.write_text(worse, encoding="utf-8")
    assert stamp(copy).returncode == 0
    assert contents(copy) == contents(original)


@pytest.mark.parametrize(
    "url",
    ["", "http://github.com/a/b", "https://gitlab.com/a/b", "git@github.com:a/b.git"]
    + [f"https://github.com/{path}" for path in ("a", "a/b/c", "a b/c")],
)  # fmt: skip
def test_what_is_no_address_is_refused(copy: Path, url: str) -> None:
    before = contents(copy)
    done = stamp(copy, "--url", url)
    assert done.returncode == 1 and done.stderr.startswith(
        f"URL: got {url!r}, wanted https://github.com/OWNER/REPOSITORY"
    )
    assert contents(copy) == before


def test_an_address_that_the_lessons_cite_is_refused(copy: Path) -> None:
    (copy / "notebooks" / "notes.md").write_text(f"As in {OTHER}/blob/main/a.py.\n")
    before = contents(copy)
    done = stamp(copy, "--url", OTHER)
    assert done.returncode == 1 and "stands in notebooks/notes.md already" in done.stderr
    assert contents(copy) == before


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/{}", "https://github.com/{}.git)", "see https://github.com/{}. Then", "git+https://github.com/{}@{tag}",
        "https://colab.research.google.com/github/{}/blob/{tag}/notebooks/00_a.ipynb",
        "https://mybinder.org/v2/gh/{}/{tag}?urlpath=lab", "https://github.com/{}/issues",
    ],
)  # fmt: skip
def test_forms_of_an_address(text: str) -> None:
    a, b = "https://github.com/a-b/c_d", OTHER
    old, new = (text.format(owner_and_name(url), tag="v0.0.1") for url in (a, b))
    assert rules.with_address(old, a, b) == new.replace("v0.0.1", TAG)
    for url in (
        "https://github.com/a-b/c_d2",
        "https://github.com/a-b/c_d.e",
        "https://github.com/aa-b/c_d",
        "https://github.com/a-b/c",
    ):
        assert rules.with_address(text.format(owner_and_name(url), tag=TAG), a, b) == text.format(
            owner_and_name(url), tag=TAG
        )
    assert (
        rules.with_address("https://a-b.github.io/c_d/gallery", a, b)
        == "https://some-one" + ".github.io/other.name/gallery"
    )
