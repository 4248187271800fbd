"""A real JupyterLab and a real Chromium, for tests and benchmarks that move sliders.

`with Lab(folder) as lab, chromium() as browser:` then `open_notebook`, `run_all_cells`, `reveal_widget`, and
Playwright's own calls.
"""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
INSTALL = "python -m playwright install --with-deps chromium   (Debian: apt-get install chromium)"
KNOWN = ("Cannot read properties of undefined (reading 'Queue')",)  # ipywidgets 7 asks for MathJax 2, JupyterLab has 3
SLIDER = "[role=slider], .ui-slider-handle"  # of ipywidgets 8 and 7


def find_chromium() -> str | None:
    """The path of a Chromium: DDPM_LITE_CHROMIUM, one on the PATH, or Playwright's own."""
    for name in (os.environ.get("DDPM_LITE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


@contextmanager
def chromium(path: str | None = None) -> Iterator[Any]:
    """Start headless Chromium and give Playwright's browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path or find_chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Lab:
    """A JupyterLab of its own: a free loopback port, a token, settings in a temporary folder."""

    def __init__(self, root: Path, *, env: dict[str, str] | None = None) -> None:
        self.root, self.token, self.extra = Path(root), secrets.token_hex(16), env or {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Lab:
        self.home = tempfile.mkdtemp(prefix="ddpm-lite-lab-")
        self.log = Path(self.home) / "lab.log"
        places = ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR",
                  "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")  # fmt: skip
        env = {**os.environ, **{name: f"{self.home}/{name.lower()}" for name in places}, **self.extra}
        quiet = Path(env["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab/apputils-extension")
        quiet.mkdir(parents=True)
        (quiet / "notification.jupyterlab-settings").write_text(
            '{"fetchNews": "false", "checkForUpdates": false}'
        )
        root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", *root, "--expose-app-in-browser",
            "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}",
            "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]  # fmt: skip
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
        end = time.monotonic() + 90
        while time.monotonic() < end and self.process.poll() is None:
            try:
                status = f"http://127.0.0.1:{self.port}/api/status?token={self.token}"
                with urllib.request.urlopen(status, timeout=2):
                    return self
            except OSError:
                time.sleep(0.2)
        text = self.log.read_text()[-3000:]
        self.__exit__()
        raise RuntimeError(f"JupyterLab did not start:\n{text}")

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)  # the server shuts its kernels down
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()  # its kernels end by themselves
        shutil.rmtree(self.home, ignore_errors=True)

    def url(self, notebook: str) -> str:
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}&reset"


def open_notebook(
    browser: Any, lab: Lab, notebook: str, *, dark: bool = False, timeout: float = 90
) -> tuple[Any, list[str]]:
    """Open a notebook in a page of its own; return the page and the list that console errors are added to."""
    size = {"width": 1280, "height": 1400}
    page = browser.new_page(viewport=size, color_scheme="dark" if dark else "light")
    page.set_default_timeout(timeout * 1000)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text[:300]) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)[:300]) if str(error) not in KNOWN else None)
    badge = {"content_type": "image/svg+xml", "body": '<svg xmlns="http://www.w3.org/2000/svg"/>'}
    page.route("https://colab.research.google.com/assets/*", lambda route: route.fulfill(**badge))  # no network
    page.goto(lab.url(notebook), wait_until="domcontentloaded")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady")
    if dark:
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
    command(page, "application:toggle-left-area")
    return page, errors


def close_notebook(page: Any) -> None:
    """End the notebook's kernel, which holds a gigabyte, and close its page."""
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()


def command(page: Any, name: str, **options: Any) -> None:
    """Execute a command of JupyterLab."""
    page.evaluate("([name, options]) => window.jupyterapp.commands.execute(name, options)", [name, options])


def run_all_cells(page: Any, *, timeout: float = 120) -> list[tuple[int, str, str]]:
    """Run every cell by JupyterLab's own command and wait; return the errors as (cell, name, message)."""
    page.evaluate(
        """async () => { const widget = window.jupyterapp.shell.currentWidget;
        await widget.context.ready; await widget.sessionContext.ready;
        await widget.sessionContext.session.kernel.info;
        await window.jupyterapp.commands.execute('notebook:run-all-cells'); }"""
    )
    # Ask the model, not the page: cells out of sight are not drawn. Cells below an error stay unrun.
    page.wait_for_function(
        """() => {
        const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.filter(
            c => c.cell_type === 'code' && c.getSource().trim());
        const failed = cells.some(c => c.getOutputs().some(o => o.output_type === 'error'));
        return cells.every(c => c.executionState !== 'running' && (c.execution_count || failed)); }""",
        timeout=timeout * 1000,
    )
    found = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.flatMap((c, i) =>
        c.cell_type !== 'code' ? [] : c.getOutputs().filter(o => o.output_type === 'error')
        .map(o => [i, o.ename, o.evalue]))"""
    )
    return [tuple(item) for item in found]


def widget_cells(page: Any) -> list[int]:
    """The indices of the cells that show a `scrub` or an `explore` (and not, say, a progress bar)."""
    return page.evaluate(
        """() => { const text = o => [o.data?.['text/plain'] ?? ''].flat().join('');
        return window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.flatMap((c, i) =>
            c.cell_type === 'code' && c.getOutputs().some(
                o => /^A (slider over|picture to explore)/.test(text(o))) ? [i] : []); }"""
    )


def reveal_widget(page: Any, cell: int) -> Any:
    """Scroll to a cell whose output is `scrub` or `explore` and return its box, drawn."""
    page.evaluate(
        """async i => { const notebook = window.jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = i; await notebook.scrollToItem(i, 'center'); }""",
        cell,
    )
    box = page.locator(f'.jp-Cell[data-windowed-list-index="{cell}"] .ddpm-box').first
    box.scroll_into_view_if_needed()
    if box.locator("canvas").count():
        box.locator(".ddpm-view[data-frame]").first.wait_for()
    return box


def wait_for_frame(box: Any, frame: int, timeout: float = 10) -> None:
    """Wait until the canvas of a box shows the given frame."""
    box.locator(f'.ddpm-view[data-frame="{frame}"]').wait_for(timeout=timeout * 1000)


def ask_kernel(page: Any, code: str) -> Any:
    """Run code in the kernel, outside the cells, and return the value of the expression in its last line."""
    *lines, last = code.strip().splitlines()
    source = "\n".join([*lines, f"import json as _json; print('ANSWER' + _json.dumps({last}))"])
    text = page.evaluate(
        """async code => { const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        const future = kernel.requestExecute({code, store_history: false}); let text = '';
        future.onIOPub = m => { text += m.content.text ?? (m.content.traceback ?? []).join('\\n'); };
        await future.done; return text; }""",
        source,
    )
    if "ANSWER" not in text:
        raise RuntimeError(f"the kernel failed on {code!r}:\n{text}")
    return json.loads(text.split("ANSWER", 1)[1])


def decode_png(data: str) -> np.ndarray:
    """A PNG in base64, also as a data URL, as (H, W, 3) uint8."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",", 1)[-1]))).convert("RGB"))


def canvas_pixels(canvas: Any) -> np.ndarray:
    """What a canvas holds now, (H, W, 3) uint8, at its own resolution."""
    return decode_png(canvas.evaluate("canvas => canvas.toDataURL('image/png')"))
