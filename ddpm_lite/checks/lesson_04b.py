"""The exercises that only the set of lesson 04 has, beyond those in the lesson itself."""

from __future__ import annotations

__all__: list[str] = []
