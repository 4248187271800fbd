"""A lesson as Colab runs it: alone in an empty folder, in a Python that has torch and others but not this package.

    PYTHONPATH=notebooks python tests/as_in_colab.py FOLDER

puts into FOLDER what `make colab-check` needs beside this environment: releases of ipywidgets, IPython and ipykernel
that Colab had for years.

The public address is made to lead to this checkout by a git configuration of its own, with the tag that the setup cell
names. The fresh environment borrows the packages of the one that runs this, all but this project, so that neither torch
nor anything else is downloaded. `google.colab` is a stub that does what Colab does to the message that shows a widget.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from rules import ADDRESS, ROOT, TAG, WIDGET_VIEW

STUB = Path(__file__).parent / "colab_stub"
COLAB = ROOT / ".venv" / "colab"  # made by `make colab-check`
OLD = ("ipywidgets==7.7.1", "ipython==7.34.0", "ipykernel==6.17.1")
LIST = """
import importlib.metadata as m, json
found = {}
for d in m.distributions():  # of two with one name the first is the one that is imported
    found.setdefault(d.metadata["Name"].lower().replace("-", "_"), [d.version, str(d.locate_file(""))])
print(json.dumps(found))
"""
PROBE = """
import json, os, sys, ddpm_lite, ipywidgets
from google.colab import output
print(json.dumps({"calls": output.calls, "file": ddpm_lite.__file__, "process": os.getpid(),
                  "ipywidgets": ipywidgets.__version__, "anywidget": "anywidget" in sys.modules}))
"""


@dataclass(frozen=True)
class Python:
    """A virtual environment."""

    folder: Path

    @property
    def executable(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def packages(self) -> Path:
        scheme = "nt" if os.name == "nt" else "posix_prefix"  # Python 3.10 knows no scheme "venv"
        return Path(sysconfig.get_path("purelib", scheme, {"base": str(self.folder)}))

    def versions(self) -> dict[str, list[str]]:
        """What is installed: name -> version and place."""
        command = [self.executable, "-I", "-c", LIST]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def fresh(folder: Path, first: Path | None = None) -> Python:
    """A virtual environment that borrows every package of this one but this project, those in `first` before them.

    Each is borrowed by a link, and not by this environment's folder as a whole, as pip would find the project in it.
    """
    python = Python(folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", folder], check=True)
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and "ddpm_lite" not in path.name:
            (borrowed / path.name).symlink_to(path)
    lines = [str(path) for path in (first, borrowed) if path]  # what stands in their own .pth files is not followed
    (python.packages / "borrowed.pth").write_text("\n".join(lines) + "\n")
    return python


def provide(folder: Path) -> None:
    """Install Colab's older packages into a fresh environment in `folder`: the one step that needs a network."""
    python = fresh(folder)
    environment = {
        k: v for k, v in os.environ.items() if k not in {"PIP_CONSTRAINT", "PYTHONPATH"}
    }  # of continuous integration
    command = [python.executable, "-m", "pip", "install", "--disable-pip-version-check", "-q", *OLD]
    subprocess.run(command, env=environment, check=True)


def publish(repository: Path, gitconfig: Path, names: list[str]) -> dict[str, str]:
    """Make a bare repository of the named files, tagged; returns an environment in which the address leads to it."""
    identity = "[user]\nname = a\nemail = a@example.org\n"
    gitconfig.write_text(f'[url "file://{repository}"]\ninsteadOf = {ADDRESS}\n{identity}')
    dropped = {"PYTHONPATH", "PIP_CONSTRAINT", "DDPM_LITE_DATA", "DDPM_LITE_CANVAS"}
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    environment |= {"GIT_CONFIG_GLOBAL": str(gitconfig), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str, given: str | None = None) -> None:
        command = ["git", "-c", "core.compression=0", f"--git-dir={repository}", f"--work-tree={ROOT}", *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, input=given, text=True, check=True)

    subprocess.run(["git", "init", "-q", "--bare", repository], env=environment, check=True)
    git("update-index", "--add", "-z", "--stdin", given="\0".join(names))
    git("commit", "-q", "-m", "published")
    git("tag", TAG)
    return environment


def execute(lesson: Path, folder: Path, python: Python, environment: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """Run a built lesson alone in `folder`, top to bottom, in one kernel; returns it, and what was found at its end."""
    import nbformat
    from nbclient import NotebookClient

    folder.mkdir()
    shutil.copy(lesson, folder)
    notebook = nbformat.read(folder / lesson.name, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    shutil.copytree(STUB, python.packages, dirs_exist_ok=True)
    spec = python.folder / "kernels" / "colab" / "kernel.json"
    spec.parent.mkdir(parents=True)
    launch = [python.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    launch.append("--IPKernelApp.exec_lines=import google.colab")  # Colab's kernel has imported it
    spec.write_text(json.dumps({"argv": list(map(str, launch)), "display_name": "Colab", "language": "python"}))
    client = NotebookClient(
        notebook,
        kernel_name="colab",
        timeout=280,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=True,
    )
    environment = environment | {
        "DDPM_LITE_FAST": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # which pip reads as: no isolation, the borrowed setuptools builds
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    with mock.patch.dict(os.environ, JUPYTER_PATH=str(spec.parent.parent.parent)):  # where that kernel is looked for
        client.execute(env=environment)
    return notebook, json.loads(notebook.cells.pop().outputs[-1].text)


def views(notebook: Any) -> list[Any]:
    """The outputs that show a widget."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output for output in outputs if WIDGET_VIEW in output.get("data", {})]


def models(notebook: Any) -> set[str]:
    """The front-end modules of all widgets that the notebook made."""
    state = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    return {model["model_module"] for model in state.values()}


if __name__ == "__main__":
    provide(Path(sys.argv[1]).resolve())
