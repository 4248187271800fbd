"""Set-up: the two commands, and a lesson that is opened alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rules import ADDRESS, ROOT, TAG
from test_project import block, tracked


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def test_an_old_python_is_refused_with_a_way_out(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "oldpython"
    old.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo "Python 3.9.18"; exit 0; fi\nexit 1\n')
    old.chmod(0o755)
    result = make(tmp_path, "lab", "PYTHON=./oldpython")
    assert result.returncode != 0 and not (tmp_path / ".venv").exists()
    assert "needs Python 3.10 or newer, and './oldpython' is: Python 3.9.18" in result.stdout
    assert "make PYTHON=python3.12 lab" in result.stdout


def test_a_second_call_installs_nothing(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran: $*"\n')
    python.chmod(0o755)
    first = make(tmp_path, "lab", "LAB_ARGS=--no-browser --port=8890").stdout
    assert "ran: -m pip install" in first and "-e .[lab]" in first
    assert re.search(r"ran: -m jupyterlab .*/00_start_here.ipynb .* --no-browser --port=8890\n", first)
    second = make(tmp_path, "lab").stdout
    assert "ran: -m pip" not in second and "ran: -m jupyterlab" in second
    assert "ran: -m pip install" in make(tmp_path, "test").stdout
    third = make(tmp_path, "test", "TEST_ARGS=-k data").stdout
    assert "ran: -m pip" not in third and "ran: -m pytest -k data\n" in third
    assert "ran: -m ruff check ." in third and "ran: -m mypy\n" in third
    os.utime(tmp_path / "pyproject.toml", (2_000_000_000, 2_000_000_000))
    assert "ran: -m pip install" in make(tmp_path, "lab").stdout


def output_of(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def publish(folder: Path, gitconfig: Path) -> dict[str, str]:
    """Commit and tag this checkout in `folder`; returns an environment where the address leads there."""
    for path in tracked():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    gitconfig.write_text(
        f'[url "file://{folder}"]\ninsteadOf = {ADDRESS}\n[user]\nname = a\nemail = a@example.org\n'
    )
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PIP_CONSTRAINT"}}
    environment |= {"GIT_CONFIG_GLOBAL": str(gitconfig), "GIT_CONFIG_NOSYSTEM": "1"}
    for command in ("init -q", "add -A -f", "commit -q -m published", f"tag {TAG}"):
        subprocess.run(["git", *command.split()], cwd=folder, env=environment, check=True)
    return environment


def test_a_lesson_alone_installs_the_package(tmp_path: Path) -> None:
    """As in Colab: the setup cell in an empty folder, and an environment without the package.

    The public address is made to lead to this checkout, and the environment borrows other packages from this
    one, so that nothing is downloaded.
    """
    environment = publish(tmp_path / "published", tmp_path / "gitconfig")
    environment |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    # The .pth files of a folder named in a .pth are ignored: this project's editable install is not borrowed.
    (Path(output_of(python, "-c", where)) / "borrowed.pth").write_text(output_of(sys.executable, "-c", where))

    (tmp_path / "empty").mkdir()
    probe = "\nimport ddpm_lite; print(ddpm_lite.__file__); print(ddpm_lite.mnist(full=False).shape)"
    command = [python, "-c", block("CONTRIBUTING.md", "setup") + probe]
    result = subprocess.run(
        command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stdout + result.stderr
    *_, file, shape = result.stdout.splitlines()
    assert Path(file).is_relative_to(tmp_path / "bare") and shape == "(1, 28, 28)"
