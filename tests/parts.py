"""What `make test` calls: pytest in two parts, one report each. Arguments go to both.

First everything that bears company, a process more than there are cores, as some wait for a browser or a kernel, and
a file of tests at a time; then what is marked `alone`, as it measures time. An argument `-m` of your own replaces the
parts.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))

import rules  # noqa: E402

NONE_CHOSEN = 5  # pytest's exit status where no test was


def run(arguments: list[str], threads: str | None = None) -> int:
    """pytest's exit status; `threads`: of PyTorch, in each process."""
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment).returncode


def main(arguments: list[str]) -> int:
    """Run both parts, the second also after a failure; the exit status is that of the first that failed."""
    if "-m" in arguments:
        return run(arguments)
    options = shlex.split(rules.PROJECT["tool"]["pytest"]["ini_options"]["addopts"])
    usual = options[options.index("-m") + 1]
    processes = min((os.cpu_count() or 1) + 1, 4)
    workers = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    together = [*workers, "-m", f"({usual}) and not alone"]
    alone = ["-m", f"({usual}) and alone"]
    report = [f"{a.removesuffix('.xml')}-alone.xml" if a.startswith("--junitxml=") else a for a in arguments]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DDPM_LITE_TEST_SITE"] = folder  # the website of the tests, built once
        codes = [run([*together, *arguments], threads="1"), run([*alone, *report])]
    bad = [code for code in codes if code not in (0, NONE_CHOSEN)]
    return bad[0] if bad else min(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
