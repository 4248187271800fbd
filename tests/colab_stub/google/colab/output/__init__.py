"""As in Colab, a widget is drawn with its third-party parts only if the message that shows it names the manager.

Colab's hook is called for messages of `display`, not for the result of a cell: so is this one.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from IPython import get_ipython

VIEW = "application/vnd.jupyter.widget-view+json"
calls: list[str] = []
_widgets = SimpleNamespace(_installed_url=None)  # anywidget looks here


def enable_custom_widget_manager() -> None:
    calls.append("enable_custom_widget_manager")
    if _widgets._installed_url is None:
        get_ipython().display_pub.register_hook(_name_manager)
    _widgets._installed_url = "https://example.org/manager.js"


def _name_manager(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content", {})
    if VIEW in content.get("data", {}):
        manager = {"custom_widget_manager": {"url": _widgets._installed_url}}
        content.setdefault("metadata", {}).setdefault(VIEW, {})["colab"] = manager
    return message
