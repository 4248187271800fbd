"""Set-up: the two commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rules import ROOT


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
    assert "ran: -m pip" not in third and "ran: tests/parts.py -k data\n" in third
    assert "ran: -m ruff check ." in third and "ran: -m mypy\n" in third
    os.utime(tmp_path / "pyproject.toml", (2_000_000_000, 2_000_000_000))
    assert "ran: -m pip install" in make(tmp_path, "lab").stdout
