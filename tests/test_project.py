"""The project's papers: one list of dependencies, one address, one version, a README that is true."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import build
import rules

ROOT = rules.ROOT
PROJECT = rules.PROJECT["project"]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def block(path: str, name: str) -> str:
    """The fenced block between the markers `name: begin` and `name: end` of a Markdown file."""
    pattern = rf"<!-- {name}: begin -->\n```\w+\n(.*?)\n```\n<!-- {name}: end -->"
    found = re.search(pattern, read(path), re.DOTALL)
    assert found, f"{path} has no block {name!r}"
    return found[1]


def tracked() -> list[Path]:
    """The files that a clone gets."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).exists()]


def matrix() -> dict[str, list[str]]:
    """The versions that continuous integration runs on."""
    return yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]["strategy"]["matrix"]


def requirement_name(requirement: str) -> str:
    return re.split(r"[\[<>=;~! ]", requirement)[0].lower().replace("-", "_")


# --- dependencies ----------------------------------------------------------------------------------------


def test_the_package_imports_what_pyproject_lists_and_nothing_else() -> None:
    imported = set()
    for path in (ROOT / "ddpm_lite").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                imported.add(node.module.split(".")[0])
    # Pillow's module has another name; the others come with a package that is listed, and are part of how it is used.
    distribution = {"PIL": "pillow", "IPython": "ipywidgets", "traitlets": "ipywidgets", "cycler": "matplotlib"}
    distribution["markdown_it"] = "markdown_it_py"
    imported = {distribution.get(name, name) for name in imported - {*sys.stdlib_module_names, "ddpm_lite"}}
    always = {requirement_name(requirement) for requirement in PROJECT["dependencies"]}
    teach = {requirement_name(requirement) for requirement in PROJECT["optional-dependencies"]["teach"]}
    assert always <= imported <= always | teach


def test_dependencies_have_a_lower_bound_and_no_upper_one() -> None:
    everything = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    for requirement in everything:
        name, *_ = requirement.split(";")
        assert re.fullmatch(r"[\w-]+>=[\d.]+|ddpm_lite\[(lab|site|teach|dev)\]", name.strip()), requirement


def test_installed_versions_satisfy_pyproject() -> None:
    from packaging.requirements import Requirement

    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)


def test_environment_yml_adds_nothing_to_pyproject() -> None:
    python, pip, from_pip = yaml.safe_load(read("environment.yml"))["dependencies"]
    assert (pip, from_pip) == ("pip", {"pip": ["-e .[dev]"]})
    assert python.removeprefix("python=") in matrix()["python"]


def test_continuous_integration_covers_what_pyproject_promises() -> None:
    assert f">={matrix()['python'][0]}" == PROJECT["requires-python"]
    assert f"ipywidgets>={matrix()['ipywidgets'][0]}" in PROJECT["dependencies"]


# --- one address, one version ----------------------------------------------------------------------------


def test_there_is_one_address() -> None:
    owner, repository = rules.ADDRESS.removeprefix("https://github.com/").split("/")
    pattern = re.compile(rf"(?:github\.com/|github/|/gh/)([\w.-]+)/{repository}\b")
    places = {}
    for path in tracked():
        if path.suffix in {".py", ".ipynb", ".md", ".toml", ".yml", ".cff", ".json", ""}:
            for found in pattern.findall(path.read_text(encoding="utf-8")):
                places.setdefault(found, set()).add(path.name)
    assert set(places) == {owner}, places
    assert {"README.md", "CITATION.cff", "CONTRIBUTING.md"} <= places[owner]


def test_there_is_one_version() -> None:
    import ddpm_lite

    version = PROJECT["version"]
    assert ddpm_lite.__version__ == version
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    changes = re.findall(r"^## (\d\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert changes[0] == version
    for path in ("README.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"\bv(\d+\.\d+\.\d+)\b", read(path))) == {version}
    assert f"version {version}." in read("README.md")


# --- what the papers say ---------------------------------------------------------------------------------


def test_the_readme_table_is_up_to_date() -> None:
    readme = read("README.md")
    assert build.with_table(readme) == readme, "run `make lessons`"


def test_the_readme_example_runs(tmp_path: Path) -> None:
    code = block("README.md", "example")
    assert len(code.splitlines()) <= 12
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "digits.png").stat().st_size > 1000


def test_contributing_shows_the_first_two_cells_that_the_checker_wants() -> None:
    assert rules.check_header("01_noise_schedules", block("CONTRIBUTING.md", "header")) == []
    assert rules.check_setup(block("CONTRIBUTING.md", "setup")) == []


def test_contributing_states_the_budget() -> None:
    text = read("CONTRIBUTING.md")
    rows = [
        f"| cells | {rules.CELLS[0]} to {rules.CELLS[-1]} |",
        f"median {rules.CODE_LINES_MEDIAN} or fewer, blank ones not counted; never more than {rules.CODE_LINES} in all",
        f"each at most {rules.CODE_WIDTH} characters",
        f"at most {rules.WORDS} |",
        f"| widgets | at most {rules.SLIDERS} |",
        f"| exercises | {rules.EXERCISES[0]} to {rules.EXERCISES[-1]} |",
        f"at most {rules.BYTES // 10**6} MB |",
        f"{rules.SECONDS} s; a slower lesson",
    ]
    assert [row for row in rows if row not in text] == []
    assert re.search(r"at most twelve lines", text) and rules.SETUP_LINES == 12


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(path: str) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", read(path))
    links += re.findall(r'<img src="(?!https?:)([^"]+)"', read(path))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_in_the_papers_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    for path in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:^|`)make (?:[A-Z_]+=\S+ )?([a-z-]+)", read(path), re.MULTILINE))
        assert named and named <= targets, path


def test_ci_and_hooks_run_what_make_test_runs() -> None:
    (targets,) = re.findall(r"^for target in (.*); do\n  make \"\$target\"", read(".ci/run"), re.MULTILINE)
    assert targets.split() == ["test", "test-browser"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    steps = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step][-1] == ".ci/run"
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    entries = {hook["entry"] for hook in local["hooks"]}
    made = set(re.findall(r"^\t(\$\(PY\) -m .*)$", read("Makefile"), re.MULTILINE))
    checks = {command.replace("$(PY)", ".venv/bin/python") for command in made if re.search("ruff|mypy", command)}
    assert len(checks) == 2 and checks <= entries


def test_nothing_large_is_committed() -> None:
    large = [path for path in tracked() if path.stat().st_size > 6_500_000]
    assert large == []
