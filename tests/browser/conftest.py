"""One JupyterLab and one Chromium for all tests of a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from driver import INSTALL, Lab, chromium, find_chromium

COMPANY = ("test_each_lesson.py", "test_site.py")  # but for what they mark themselves, these measure no time


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name not in COMPANY:
            item.add_marker("alone")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = find_chromium()
    if path is None:
        message = f"no Chromium to move sliders in; install one: {INSTALL}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with chromium(path) as running:
        yield running


@pytest.fixture(scope="session")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), env={"DDPM_LITE_FAST": "1"}) as running:
        yield running
