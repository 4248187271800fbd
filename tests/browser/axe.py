"""axe-core over a page: nothing that it calls serious or critical. It comes with a package and asks no network."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

GRAVE = ("serious", "critical")


def violations(page: Any, within: str | None = None) -> list[str]:
    """What axe-core holds to be serious or critical, in the whole page or in the elements of a selector."""
    context = None if within is None else {"include": [[within]]}
    response = Axe().run(page, context=context, options={"resultTypes": ["violations"]}).response
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:200]}"
        for violation in response["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]


def assert_accessible(page: Any, within: str | None = None) -> None:
    assert not (found := violations(page, within)), "\n".join(found)


def assert_outputs_accessible(page: Any) -> int:
    """The same for what the lesson open in JupyterLab puts out: widgets and figures, those out of sight too.

    JupyterLab draws the cells in sight alone, so that each cell with an output is gone to. Returns how many were.
    """
    cells = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.flatMap((c, i) =>
        c.cell_type === 'code' && c.getOutputs().some(o => o.data) ? [i] : [])"""
    )
    found = []
    for cell in cells:
        page.evaluate(
            """async i => { const notebook = window.jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = i; await notebook.scrollToItem(i, 'center'); }""",
            cell,
        )
        inside = f'.jp-Cell[data-windowed-list-index="{cell}"] .jp-OutputArea-output'
        page.locator(inside).first.wait_for(state="attached")
        found += [f"cell {cell}: {violation}" for violation in violations(page, inside)]
    assert not found, "\n".join(found)
    return len(cells)
