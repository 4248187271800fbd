"""The exercises of the museum of bugs: find the wrong line, say what it does, mend it."""

from __future__ import annotations

__all__: list[str] = []
