"""What every test shares: no network, no window, and hypothesis without a clock."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # diffusers would ask its hub otherwise
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # unless told one: on the CPU sums repeat to the bit

# Examples are drawn from the test's own name, so a failure here is a failure everywhere.
settings.register_profile("ddpm_lite", deadline=None, derandomize=True, database=None)
settings.load_profile("ddpm_lite")

# Files that take longest come first, so that at the end no process is left alone with one.
LONG = ("test_each_lesson.py", "test_notebooks.py", "test_site.py", "test_colab.py", "test_exercises.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files, and leave the order inside of each."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Any:
    """Let a test reach this machine only: whatever lessons and package do by default must work offline."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        local = self.family == getattr(socket, "AF_UNIX", None) or address[0] in {
            "127.0.0.1",
            "::1",
            "localhost",
        }
        if not local:
            raise OSError(f"a test tried to reach {address}; tests must work offline")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield
