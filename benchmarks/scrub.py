"""How quick the sliders are in a real JupyterLab and a real Chromium.

    python benchmarks/scrub.py [--json FILE]

Prints medians of several bursts: the pictures a second that a scrubbing slider shows while it is asked for
one at every refresh of the screen (60 a second in headless Chromium), the same by the play button, the
milliseconds from a key's arrival in the page to its picture, and the same for an exploring slider, for which
the kernel draws a matplotlib figure. A picture counts when other pixels than the last reach the canvas.
The lessons' own sliders: make test-browser SLIDER_TABLE=benchmarks/sliders.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from driver import (
    SLIDER,
    Lab,
    chromium,
    find_chromium,
    open_notebook,
    reveal_widget,
    run_all_cells,
    widget_cells,
)
from moves import SCRIPT

CELLS = [
    """import torch
from ddpm_lite.widgets import explore, scrub
from ddpm_lite.plots import new_figure
signal = torch.cos(torch.linspace(0, torch.pi / 2, 51))[:, None, None, None, None]
x_0 = torch.full((64, 1, 28, 28), -1.0)
x_0[:, :, 6:22, 12:16] = 1
x_t = signal * x_0 + (1 - signal**2).clamp(min=0).sqrt() * torch.randn(64, 1, 28, 28)
labels = [f"t = {20 * i} of 1000" for i in range(51)]
scrub(x_t, labels=labels, padding=0, fps=60)""",
    """views = {"x_t": x_t, "x0_hat": -x_t, "eps_hat": x_t}
scrub(views, labels=labels, curve=(signal.flatten(), "signal"), fps=60)""",
    """figure, axis = new_figure(size=(6, 3.4))
t = torch.arange(1001)
line, = axis.plot(t, t * 0.0)
axis.set(ylim=(0, 1), xlabel="$t$", ylabel=r"$\\bar\\alpha_t$")
def alpha_bar(beta_T):
    line.set_ydata(torch.cumprod(1 - torch.linspace(0, beta_T, 1001), 0))
    return figure
explore(alpha_bar, beta_T=(0.001, 0.05, 0.001, 0.02))""",
]

def median(page: Any, box: Any, script: str, *arguments: Any, repeat: int = 5, home: bool = True) -> float:
    """The median of several runs of a function of the page on the slider of a box."""
    handle = box.locator(SLIDER).first
    results = []
    for _ in range(repeat):
        if home:
            handle.press("Home")
        page.wait_for_timeout(400)
        results.append(page.evaluate(script, [handle.element_handle(), *arguments]))
    return statistics.median(results)


def play(page: Any, box: Any) -> float:
    """Pictures a second by the play button, over the time in which it runs."""
    handle, results = box.locator(SLIDER).first, []
    for _ in range(3):
        handle.press("Home")
        page.wait_for_timeout(400)
        page.evaluate("() => { window.drawn.length = 0; }")
        box.locator(".widget-play button").first.click()
        box.locator('.ddpm-view[data-frame="50"]').wait_for()
        times = page.evaluate("() => window.drawn")
        results.append(1000 * (len(times) - 1) / (times[-1] - times[0]))
        page.wait_for_timeout(300)
    return statistics.median(results)


def measure(browser: Any, lab: Lab) -> dict[str, float]:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.root / "scrub.ipynb")
    page, errors = open_notebook(browser, lab, "scrub.ipynb")
    failed = run_all_cells(page)
    page.evaluate(SCRIPT)
    one, three, picture = (reveal_widget(page, cell) for cell in widget_cells(page))
    results = {}
    for name, box in (("one view", one), ("three views and a curve", three)):
        reveal_widget(page, widget_cells(page)[0 if box is one else 1])
        results[f"{name}: pictures/s in a burst of 45"] = median(page, box, "([h, n]) => burst(h, n, 51)", 45)
        results[f"{name}: pictures/s by Play"] = play(page, box)
        results[f"{name}: ms from key to picture"] = median(
            page, box, "([h, key]) => latency(h, key)", "ArrowRight", repeat=15
        )
    reveal_widget(page, widget_cells(page)[2])
    results["explore: ms from key to picture"] = median(
        page, picture, "([h, key]) => latency(h, key)", "ArrowRight", repeat=15, home=False
    )
    if failed or errors:
        sys.exit(f"cells that failed: {failed}; console errors: {errors}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to FILE")
    options = parser.parse_args()
    if find_chromium() is None:
        sys.exit("No Chromium here: apt-get install chromium, or python -m playwright install chromium")
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder)) as lab, chromium() as browser:
        results = measure(browser, lab)
    for name, value in results.items():
        print(f"{name:45s} {value:7.1f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
